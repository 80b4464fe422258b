#!/usr/bin/env node
// A job type and an error handler in JavaScript. elasticjob.js is the protocol;
// this file is what an author writes.
'use strict';

// The node runs a copy of this file, so what belongs to it is found from where
// it was loaded.
const { createRequire } = require('node:module');
const path = require('node:path');
const load = createRequire(path.resolve(process.env.ELASTICJOB_PLUGIN_PATH || __filename));
const { serve, PluginError, NOT_FOUND, UNAVAILABLE } = load('./elasticjob.js');
const { setTimeout: sleep } = require('node:timers/promises');

// Each item measures one page, which its parameter names.
const pageSize = {
  kind: 'jobType',
  type: 'PAGE_SIZE',
  version: '1.0.0',
  description: 'Fetches the page that the sharding item parameter names, and tells its size.',
  props: [
    { name: 'pause', type: 'duration', description: 'How long an item waits before it asks, times its number.', default: '0s' },
  ],
  wants: [{ op: 'http.request', value: 'example.com', why: 'to fetch the pages of the example' }],

  async execute({ context }, call) {
    const url = context.shardingParameter;
    if (!url) {
      throw new PluginError(`item ${context.shardingItem} has no page: name it in shardingItemParameters`);
    }
    // A call that is cancelled ends here: the signal rejects what waits.
    await sleep(milliseconds(context.props.pause) * context.shardingItem, undefined, { signal: call.signal });
    call.info(`fetching ${url}`);
    const { status, body } = await call.ask('http.request', { method: 'GET', url, timeoutMs: 5000 });
    if (status === 404 || status === 410) {
      throw new PluginError(`${url} is gone`, { code: NOT_FOUND });
    }
    if (status !== 200) {
      throw new PluginError(`${url} answers ${status}`, { code: UNAVAILABLE });
    }
    return `${Buffer.from(body || '', 'base64').length} bytes`;
  },
};

// A page that is gone does not come back; everything else may.
const stopWhenGone = {
  kind: 'errorHandler',
  type: 'STOP_WHEN_GONE',
  description: 'Stops a job on this instance when what an item works on is gone.',

  async handleError({ context, error }, call) {
    const gone = error.code === NOT_FOUND;
    call.warn(`item ${context.shardingItem} of ${context.jobName}: ${error.message}`);
    return gone ? 'stop' : 'continue';
  },
};

// milliseconds reads a duration such as 1m30s, of which the node has checked
// the form.
function milliseconds(duration) {
  const units = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  let total = 0;
  for (const [, number, unit] of duration.matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g)) {
    total += Number(number) * units[unit];
  }
  return total;
}

serve([pageSize, stopWhenGone]);
