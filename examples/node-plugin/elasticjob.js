// The author's half of the protocol of elasticjob's process plugins, version 1,
// on plugin.proto. docs/plugins/process-protocol.md is its specification; the
// headings in this file are those of that page.
'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');
const selfsigned = require('selfsigned');

const COOKIE = '4c1d7f0a9e5b4b66a6f1e7f3d0c2b8915e6a7d34';
const MAX_FRAME = 17 << 20;

// The codes that a plugin may send; from 1000 on they are the author's own.
const FAILED = 1;
const INVALID_PROPERTIES = 2;
const UNSUPPORTED = 3;
const DENIED = 4;
const NOT_FOUND = 5;
const UNAVAILABLE = 13;
const TOO_LARGE = 14;
const RATE_LIMITED = 15;

// PluginError is an error with a code. Any other error is FAILED. An operation
// of the host that fails throws one, with the host's code.
class PluginError extends Error {
  constructor(message, { code = FAILED, retryable, property } = {}) {
    super(message);
    this.name = 'PluginError';
    this.code = code;
    this.retryable = retryable;
    this.property = property;
  }
}

// serve runs this program as a plugin process. Each plugin has the members of a
// descriptor and the methods of its kind:
//
//   jobType           execute({context}, call) -> result
//                     fetchData({context, cursor}, call) -> {data, cursor}
//                     processData({context, data}, call)
//   shardingStrategy  shard({jobName, shardingTotalCount, instances, items, previous, props}, call) -> {id: [items]}
//   errorHandler      handleError({context, error, props}, call) -> 'continue' or 'stop'
//   jobListener       beforeJob({run, once, props}, call), afterJob(...)
//   tracingSink       trace({events, props}, call)
//
// Methods may be async. call is a Call.
async function serve(plugins) {
  if (process.env.ELASTICJOB_PLUGIN !== COOKIE) {
    const offers = plugins.map((p) => `\t${p.kind} ${p.type}: ${p.description}`).join('\n');
    console.error(`this is an elasticjob plugin; it is not run by hand. It offers\n\n${offers}\n\n` +
      `A node starts it when its file lists it:\n\n\telasticjob:\n\t  plugins:\n\t    - process: ${process.argv[1]}`);
    process.exit(1);
  }

  // The start: when standard input ends, the host is gone.
  process.stdin.on('end', endGroup).on('error', endGroup).resume();

  // AutoMTLS: each side trusts the certificate of the other and no other.
  const hostCertificate = Buffer.from(process.env.PLUGIN_CLIENT_CERT);
  const own = await certificate();
  const key = { private_key: Buffer.from(own.private), cert_chain: Buffer.from(own.cert) };

  const definitions = protoLoader.loadSync(
    ['plugin.proto', 'go-plugin.proto', 'health.proto'].map((name) => path.join(__dirname, name)),
    { longs: String, bytes: Buffer, defaults: true, includeDirs: [__dirname] },
  );
  const proto = grpc.loadPackageDefinition(definitions);
  const frames = { 'grpc.max_receive_message_length': MAX_FRAME, 'grpc.max_send_message_length': MAX_FRAME };
  const broker = new Broker();
  const host = (stream) => broker.address(stream).then((address) => new proto.elasticjob.plugin.v1.Host(
    address,
    grpc.credentials.createSsl(hostCertificate, key.private_key, key.cert_chain),
    { ...frames, 'grpc.ssl_target_name_override': 'localhost', 'grpc.default_authority': 'localhost' },
  ));

  const server = new grpc.Server(frames);
  server.addService(proto.elasticjob.plugin.v1.Plugin.service, new Service(plugins, host).handlers());
  server.addService(proto.plugin.GRPCBroker.service, { startStream: (stream) => broker.serve(stream) });
  server.addService(proto.plugin.GRPCController.service, {
    shutdown(_, done) {
      done(null, {});
      server.tryShutdown(() => process.exit(0));
    },
  });
  server.addService(proto.grpc.health.v1.Health.service, { check: (_, done) => done(null, { status: 1 }) });

  const dir = fs.mkdtempSync(path.join(process.env.PLUGIN_UNIX_SOCKET_DIR || os.tmpdir(), 'node-'));
  const socket = path.join(dir, 's');
  process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));
  process.on('SIGTERM', () => process.exit(0));
  server.bindAsync(`unix:${socket}`, grpc.ServerCredentials.createSsl(hostCertificate, [key], true), (err) => {
    if (err) {
      throw err;
    }
    // The handshake is the first line on standard output.
    const der = own.cert.replace(/-----[^-]+-----|\s/g, '').replace(/=+$/, '');
    process.stdout.write(`1|1|unix|${socket}|grpc|${der}\n`);
  });
}

// endGroup ends this process and what it has started.
function endGroup() {
  process.kill(0, 'SIGKILL');
}

// certificate makes one that serves both ends of a connection to "localhost".
function certificate() {
  const now = Date.now();
  return selfsigned.generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: new Date(now - 60_000),
    notAfterDate: new Date(now + 30 * 365 * 24 * 3600_000),
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'keyUsage', digitalSignature: true, keyCertSign: true },
      { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
    ],
  });
}

// Broker keeps what the host says about where it listens.
class Broker {
  constructor() {
    this.streams = new Map();
  }

  serve(stream) {
    stream.on('data', ({ serviceId, network, address }) => this.stream(serviceId).resolve(network === 'unix' ? `unix:${address}` : address));
    stream.on('error', () => {});
    stream.on('end', () => stream.end());
  }

  stream(id) {
    if (!this.streams.has(id)) {
      const stream = {};
      stream.address = new Promise((resolve) => { stream.resolve = resolve; });
      this.streams.set(id, stream);
    }
    return this.streams.get(id);
  }

  // address waits until the host has said where the stream is.
  address(id) {
    return this.stream(id).address;
  }
}

// Service is the service Plugin.
class Service {
  constructor(plugins, dial) {
    this.plugins = plugins;
    this.dial = dial;
    this.calls = new Map(); // by id, from the first of the call and its Cancel
  }

  handlers() {
    const unary = (handler) => ({ request }, done) => handler(request).then((response) => done(null, response), done);
    return {
      attach: unary(async ({ hostStream }) => {
        this.host = await this.dial(hostStream);
        return {};
      }),
      describe: unary(async () => ({ plugins: this.plugins.map(descriptor) })),
      execute: this.method('jobType', 'execute', (message = '') => ({ message: String(message) })),
      fetchData: this.method('jobType', 'fetchData', ({ data = [], cursor = '' } = {}) => ({ data: data.map(toJSON), cursor })),
      processData: this.method('jobType', 'processData', () => ({})),
      shard: this.method('shardingStrategy', 'shard', (assignment) => ({
        assignment: Object.fromEntries(Object.entries(assignment).map(([id, items]) => [id, { items }])),
      })),
      handleError: this.method('errorHandler', 'handleError', (decision = 'continue') => ({ decision })),
      beforeJob: this.method('jobListener', 'beforeJob', () => ({})),
      afterJob: this.method('jobListener', 'afterJob', () => ({})),
      trace: this.method('tracingSink', 'trace', () => ({})),
      // Cancel may be here before its call. Then it has no answer: the host
      // gives it up when the call has returned.
      cancel: (request, done) => {
        const { call, reason } = request.request;
        const early = !this.calls.has(call);
        this.entry(call).abort(new PluginError(`cancelled: ${reason}`));
        if (early) {
          request.on('cancelled', () => this.calls.delete(call));
        } else {
          done(null, {});
        }
      },
    };
  }

  entry(id) {
    if (!this.calls.has(id)) {
      this.calls.set(id, new AbortController());
    }
    return this.calls.get(id);
  }

  // method makes the handler of one kind of call. Errors travel in the response.
  method(kind, name, toResponse) {
    return async ({ request }, done) => {
      const { id, timeoutMillis } = request.call;
      const controller = this.entry(id);
      const call = new Call(this.host, id, controller.signal);
      const timeout = Number(timeoutMillis);
      // A longer one than setTimeout can take is left to the host.
      const timer = timeout > 0 && timeout < 2 ** 31 && setTimeout(() => controller.abort(new PluginError('cancelled: timeout')), timeout);
      let response;
      try {
        const plugin = this.plugins.find((p) => p.kind === kind && p.type === request.plugin);
        if (!plugin) {
          throw new PluginError(`this plugin has no ${kind} ${request.plugin}`, { code: NOT_FOUND });
        }
        if (!plugin[name]) {
          throw new PluginError(`${kind} ${request.plugin} has no ${name}`, { code: UNSUPPORTED });
        }
        response = toResponse(await plugin[name](fromRequest(request), call));
      } catch (err) {
        response = { error: toError(err) };
      }
      await call.logged;
      clearTimeout(timer);
      this.calls.delete(id);
      done(null, response);
    };
  }
}

// Call is the way from one call of a plugin to its host.
class Call {
  constructor(host, id, signal) {
    this.host = host;
    this.id = id;
    this.signal = signal; // aborted when the call is to end
    this.logged = Promise.resolve();
  }

  debug(line) { this.log(-4, line); }

  info(line) { this.log(0, line); }

  warn(line) { this.log(4, line); }

  error(line) { this.log(8, line); }

  // log sends one line; lines arrive in their order, before the response does.
  log(level, line) {
    this.logged = this.logged.then(() => new Promise((resolve) => {
      this.host.log({ call: this.id, records: [{ level, line: String(line) }] }, resolve);
    }));
  }

  // ask runs an operation of the host, such as http.request, whose request and
  // response are the objects of the ABI.
  ask(op, request = {}) {
    return new Promise((resolve, reject) => {
      this.host.call({ call: this.id, op, request: Buffer.from(JSON.stringify(request)) }, (err, response) => {
        if (err) {
          reject(new PluginError(`${op}: ${err.message}`, { code: UNAVAILABLE }));
        } else if (response.error) {
          reject(new PluginError(response.error.message, response.error));
        } else {
          resolve(JSON.parse(response.response.toString() || '{}'));
        }
      });
    });
  }
}

// descriptor leaves out what is no data.
function descriptor({ kind, type, version, description, props, capabilities, wants }) {
  return { kind, type, version, description, props, capabilities, wants };
}

function toJSON(value) {
  return Buffer.from(JSON.stringify(value));
}

// toError writes an error. Codes that only a host may send, such as that of an
// operation that failed, become FAILED.
function toError(err) {
  if (!(err instanceof PluginError)) {
    return { code: FAILED, message: String(err?.message ?? err), stack: String(err?.stack ?? '') };
  }
  const { code, message, stack, retryable, property = '' } = err;
  const mine = (code >= FAILED && code <= NOT_FOUND) || (code >= UNAVAILABLE && code <= RATE_LIMITED) || code >= 1000;
  return { code: mine ? code : FAILED, message, stack, property, ...(retryable === undefined ? {} : { retryable }) };
}

// fromRequest makes numbers and dates of what protobuf has other types for. The
// fencing token stays a decimal string.
function fromRequest(request) {
  const out = { ...request };
  for (const of of [out, out.context, out.run, ...(out.events || [])]) {
    numbersAndDates(of);
  }
  if (out.run) {
    out.run.items.forEach(numbersAndDates);
  }
  if (out.items) {
    out.items.forEach(numbersAndDates);
  }
  if (out.previous) {
    out.previous = Object.fromEntries(Object.entries(out.previous).map(([id, { items }]) => [id, items.map(Number)]));
  }
  if (out.data) {
    out.data = out.data.map((datum) => JSON.parse(datum.toString()));
  }
  return out;
}

function numbersAndDates(of) {
  for (const name of ['shardingTotalCount', 'shardingItem', 'attempt', 'item']) {
    if (typeof of?.[name] === 'string') {
      of[name] = Number(of[name]);
    }
  }
  for (const name of ['fireTime', 'deadline', 'time', 'start', 'end']) {
    if (of?.[name]) {
      of[name] = new Date(Number(of[name].seconds) * 1000 + of[name].nanos / 1e6);
    }
  }
}

module.exports = { serve, PluginError, FAILED, INVALID_PROPERTIES, UNSUPPORTED, DENIED, NOT_FOUND, UNAVAILABLE, TOO_LARGE, RATE_LIMITED };
