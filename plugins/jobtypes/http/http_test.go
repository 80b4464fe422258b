package httpjob

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
)

func TestARequestByDefault(t *testing.T) {
	t.Parallel()
	s := serve(t, answer(200, "fine"))
	got, err := execute(t.Context(), t, properties(s.URL+"/execute"))
	if err != nil || got.Message != "200 OK" {
		t.Errorf("Execute() = %v, %v, want 200 OK", got, err)
	}
	request := s.last()
	if request.method != "GET" || request.uri != "/execute" || request.body != "" || request.header.Get("Content-Type") != "" {
		t.Errorf("the request is %+v, want a GET without body", request)
	}
}

// TestTheContextIsAHeaderField: ElasticJob writes characters that are not ASCII
// as they are, of which a server gets question marks.
func TestTheContextIsAHeaderField(t *testing.T) {
	t.Parallel()
	s := serve(t, answer(200, ""))
	given := properties(s.URL, "http.headers.Authorization", "Bearer hunter2")
	if _, err := execute(t.Context(), t, given); err != nil {
		t.Fatal(err)
	}
	const want = `{"jobName":"orders","taskId":"t1","shardingTotalCount":3,"jobParameter":"jp","shardingItem":1,"shardingParameter":"<\u5317\u4eac> & 'x'/?",` +
		`"runId":"r1","fireTime":"2026-02-03T04:05:06.000Z","executionSource":"NORMAL_TRIGGER","attempt":1,"fencingToken":"9","props":{}}`
	got := s.last().header.Get("shardingContext")
	if got != want {
		t.Errorf("shardingContext = %s, want %s", got, want)
	}
	var read struct{ ShardingParameter string }
	if err := json.Unmarshal([]byte(got), &read); err != nil || read.ShardingParameter != context3().ShardingParameter {
		t.Errorf("shardingParameter is read as %q, %v, want %q", read.ShardingParameter, err, context3().ShardingParameter)
	}
}

// TestMethods: in ElasticJob a lower case method and PATCH fail, and only POST,
// PUT and DELETE send data.
func TestMethods(t *testing.T) {
	t.Parallel()
	s := serve(t, answer(200, ""))
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "TRACE", "get", "Head"} {
		if _, err := execute(t.Context(), t, properties(s.URL, PropMethod, method)); err != nil || s.last().method != strings.ToUpper(method) {
			t.Errorf("Execute() with method %s = %v and sends %s, want it in upper case", method, err, s.last().method)
		}
	}
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "post"} {
		_, err := execute(t.Context(), t, properties(s.URL, PropMethod, method, PropData, "source=ejob"))
		if got := s.last(); err != nil || got.method != strings.ToUpper(method) || got.body != "source=ejob" || got.header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Errorf("Execute() with method %s = %v and sends %+v, want the data as a form", method, err, got)
		}
	}
}

func TestAddressByItsOtherName(t *testing.T) {
	t.Parallel()
	s := serve(t, answer(200, ""))
	if _, err := execute(t.Context(), t, map[string]string{PropURL: s.URL + "/other"}); err != nil || s.last().uri != "/other" {
		t.Errorf("Execute() = %v and asks for %s, want /other", err, s.last().uri)
	}
}

func TestContentType(t *testing.T) {
	t.Parallel()
	s := serve(t, answer(200, ""))
	_, err := execute(t.Context(), t, properties(s.URL, PropMethod, "POST", PropContentType, "application/json; charset=utf-8",
		PropData, `{"item": ${shardingItem}, "parameter": "${shardingParameter}", "literal": "$${x}"}`))
	want := `{"item": 1, "parameter": "<北京> & 'x'/?", "literal": "${x}"}`
	if got := s.last(); err != nil || got.body != want || got.header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("Execute() = %v and sends %s as %s, want %s as it is given", err, got.body, got.header.Get("Content-Type"), want)
	}
}

func TestVariablesInTheAddress(t *testing.T) {
	t.Parallel()
	s := serve(t, answer(200, ""))
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "http://"), ":")
	if _, err := execute(t.Context(), t, properties(s.URL+"/${jobName}/${shardingParameter}?item=${shardingItem}&p=${shardingParameter}#${x}")); err != nil {
		t.Fatal(err)
	}
	const escaped = "%3C%E5%8C%97%E4%BA%AC%3E%20%26%20%27x%27%2F%3F"
	if got, want := s.last().uri, "/orders/"+escaped+"?item=1&p="+escaped; got != want {
		t.Errorf("the request is for %s, want %s", got, want)
	}
	j := newJobOf(t.Context(), t, properties("http://${shardingParameter}:${jobParameter}/"))
	for host, works := range map[string]bool{"127.0.0.1": true, "me@127.0.0.1": false, "127.0.0.1/x?": false, "": false, "127.0.0.1#": false, "%31": false} {
		_, err := j.Execute(t.Context(), spi.ExecuteRequest{Context: spi.ShardingContext{ShardingParameter: host, JobParameter: port}})
		if (err == nil) != works {
			t.Errorf("Execute() with the host %q = %v, want success: %t", host, err, works)
		}
	}
}

func TestHeaderFields(t *testing.T) {
	t.Parallel()
	s := serve(t, answer(200, ""))
	if _, err := execute(t.Context(), t, properties(s.URL, "http.headers.x-item", "${shardingItem} of ${shardingTotalCount}",
		"http.headers.User-Agent", "me", "http.headers.Host", "jobs.example.com", "http.headers.X-Name", "${shardingParameter}")); err != nil {
		t.Fatal(err)
	}
	got := s.last()
	want := []string{"1 of 3", "me", "jobs.example.com", "<北京> & 'x'/?"}
	if have := []string{got.header.Get("X-Item"), got.header.Get("User-Agent"), got.host, got.header.Get("X-Name")}; !cmp.Equal(have, want) {
		t.Errorf("header fields are %q, want %q", have, want)
	}
	j := newJobOf(t.Context(), t, properties(s.URL, "http.headers.X-Item", "${jobParameter}"))
	for _, value := range []string{"a\r\nX-Admin: true", "a\nb", "\x00"} {
		_, err := j.Execute(t.Context(), spi.ExecuteRequest{Context: spi.ShardingContext{JobParameter: value}})
		if err == nil || !strings.Contains(err.Error(), "control characters") {
			t.Errorf("Execute() with a header field of %q = %v, want that it is refused", value, err)
		}
	}
}

func TestUserInTheAddress(t *testing.T) {
	t.Parallel()
	s := serve(t, answer(500, "no, Basic am9iczpodW50ZXIy or hunter2"))
	_, err := execute(t.Context(), t, properties(strings.Replace(s.URL, "http://", "http://jobs:hunter2@", 1)+"/?token=verysecret"))
	if got := s.last().header.Get("Authorization"); got != "Basic am9iczpodW50ZXIy" {
		t.Errorf("Authorization = %q, want the user of the address", got)
	}
	if err == nil || strings.Contains(err.Error(), "hunter") || strings.Contains(err.Error(), "am9i") || strings.Contains(err.Error(), "verysecret") {
		t.Errorf("Execute() = %v, want an error without the password", err)
	}
}

// TestAStatusOf400OrMoreIsAFailure: in ElasticJob it is a success, or with an
// empty body a NullPointerException (elasticjob.md, section 5).
func TestAStatusOf400OrMoreIsAFailure(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status  int
		body    string
		code    spi.Code
		message string
	}{
		{404, "", spi.CodeFailed, "404 Not Found"},
		{400, "no\x1b[31m such\r\n\x00item\u202e", spi.CodeFailed, "400 Bad Request: no [31m such item"},
		{403, "Bearer hunter2-token is bad", spi.CodeFailed, "403 Forbidden: *** is bad"},
		{409, strings.Repeat("é", 3000), spi.CodeFailed, "409 Conflict: ééé"},
		{408, "", spi.CodeUnavailable, "408 Request Timeout"},
		{429, "slow down", spi.CodeRateLimited, "429 Too Many Requests: slow down"},
		{500, "", spi.CodeUnavailable, "500 Internal Server Error"},
		{503, "busy", spi.CodeUnavailable, "503 Service Unavailable: busy"},
		{599, "", spi.CodeUnavailable, "599"},
	} {
		s := serve(t, answer(test.status, test.body))
		_, err := execute(t.Context(), t, properties(s.URL+"/a%20b?token=hunter2&x", "http.headers.Authorization", "Bearer hunter2-token"))
		got := spi.AsError(err)
		want := "GET " + s.URL + "/a%20b?token=***&*** answered " + test.message
		if got == nil || got.Code != test.code || got.Retryable != test.code.Retryable() || !strings.HasPrefix(got.Message, want) || len(got.Message) > len(want)+maxShown {
			t.Errorf("Execute() with status %d = %v, want %v %s", test.status, err, test.code, want)
		}
	}
}

func TestSuccessStatus(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		given   string
		status  int
		success bool
	}{
		{"200-299,404", 404, true},
		{"200-299,404", 204, true},
		{"200-299,404", 403, false},
		{"200-299 , 404", 304, false},
		{"201", 200, false},
		{"500", 500, true},
	} {
		s := serve(t, answer(test.status, ""))
		if _, err := execute(t.Context(), t, properties(s.URL, PropSuccessStatus, test.given)); (err == nil) != test.success {
			t.Errorf("Execute() with status %d of %s = %v, want success: %t", test.status, test.given, err, test.success)
		}
	}
}

func TestASuccessIsLoggedForDebugging(t *testing.T) {
	t.Parallel()
	s := serve(t, answer(200, "42 rows\nmore"))
	var r recorder
	if _, err := newJobOf(t.Context(), t, properties(s.URL)).Execute(t.Context(), spi.ExecuteRequest{Context: context3(), Services: &r}); err != nil {
		t.Fatal(err)
	}
	want := []spi.LogRecord{{Level: spi.LevelDebug, Line: "GET " + s.URL + " answered 200 OK: 42 rows more"}}
	if diff := cmp.Diff(want, r.records); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestPropertiesAreChecked(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		PropMethod: "CONNECT", PropConnectTimeout: "0", PropReadTimeout: "-1", PropSuccessStatus: "", PropFollowRedirects: "yes", "http.ur": "http://a", "http.urii": "http://a",
	} {
		if _, problems := Plugin().Descriptor.Props.Resolve(properties("http://a", name, value)); len(problems) != 1 || problems[0].Property != name {
			t.Errorf("Resolve(%s=%s) = %v, want one problem", name, value, problems)
		}
	}
	for _, test := range []struct {
		given    map[string]string
		property string
	}{
		{nil, PropURI},
		{properties("http://a", PropURL, "http://a"), PropURL},
		{properties("hunter2"), PropURI},
		{properties("ftp://hunter2/"), PropURI},
		{properties("http:///hunter2"), PropURI},
		{properties("http://:80/hunter2"), PropURI},
		{properties("http://a b/hunter2"), PropURI},
		{properties("http://a:port/hunter2"), PropURI},
		{properties("http://${hunter2}/"), PropURI},
		{properties("http://a/%zz"), PropURI},
		{map[string]string{PropURL: "http://a/${x}"}, PropURL},
		{properties("http://a", PropData, "x"), PropData},
		{properties("http://a", PropData, "${x}", PropMethod, "POST"), PropData},
		{properties("http://a", PropContentType, "a\nb"), PropContentType},
		{properties("http://a", PropSuccessStatus, "2xx"), PropSuccessStatus},
		{properties("http://a", PropSuccessStatus, "299-200"), PropSuccessStatus},
		{properties("http://a", PropSuccessStatus, "99"), PropSuccessStatus},
		{properties("http://a", "http.headers.A B", "hunter2"), "http.headers.A B"},
		{properties("http://a", "http.headers.A", "hunter2\r\nB: c"), "http.headers.A"},
		{properties("http://a", "http.headers.A", "hunter2${x}"), "http.headers.A"},
		{properties("http://a", "http.headers.a", "hunter2", "http.headers.A", "b"), "http.headers.a"},
		{properties("http://a", "http.headers.shardingcontext", "hunter2"), "http.headers.shardingcontext"},
		{properties("http://a", "http.headers.Content-Type", "text/plain"), "http.headers.Content-Type"},
		{properties("http://a", "http.headers.Content-Length", "1"), "http.headers.Content-Length"},
		{properties("http://a", "http.headers.Proxy-Authorization", "hunter2"), "http.headers.Proxy-Authorization"},
	} {
		values, problems := Plugin().Descriptor.Props.Resolve(test.given)
		if len(problems) > 0 {
			t.Fatalf("Resolve(%v) = %v, want no problem", test.given, problems)
		}
		_, err := Plugin().JobType(t.Context(), values)
		got := spi.AsError(err)
		if got == nil || got.Code != spi.CodeInvalidProperties || got.Property != test.property || strings.Contains(got.Message, "hunter2") {
			t.Errorf("JobType(%v) = %v, want an error about %s that shows no value", test.given, err, test.property)
		}
	}
}

func TestConnectionsAreKeptAndClosed(t *testing.T) {
	t.Parallel()
	connections := make(map[string]bool)
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) { connections[r.RemoteAddr] = true })
	j := newJobOf(t.Context(), t, properties(s.URL))
	for range 3 {
		if _, err := j.Execute(t.Context(), spi.ExecuteRequest{Context: context3()}); err != nil {
			t.Fatal(err)
		}
	}
	if len(connections) != 1 {
		t.Errorf("3 requests make %d connections, want 1", len(connections))
	}
	if err := j.Close(t.Context()); err != nil {
		t.Errorf("Close() = %v, want nil", err)
	}
}

func TestNoPartOfASecretWhereABodyIsCut(t *testing.T) {
	t.Parallel()
	const token = "abcdefghijklmnopqrstuvwxyz"
	for _, before := range []int{maxShown - 20, maxShown - len(token), maxShown - len(token) + 1, maxShown - 1} {
		s := serve(t, answer(http.StatusForbidden, strings.Repeat("-", before)+token+" is bad"))
		_, err := execute(t.Context(), t, properties(s.URL, prefixHeaders+"X-Key", token))
		if message := spi.AsError(err).Message; !strings.Contains(message, strings.Repeat("-", before-8)) || strings.Contains(message, token[:1]+token[1:2]) || strings.Contains(message, "-a") {
			t.Errorf("after %d bytes the message ends in %q, want the body without its token", before, message[len(message)-40:])
		}
	}
}

func TestValuesThatLeadElsewhere(t *testing.T) {
	t.Parallel()
	s := serve(t, answer(http.StatusOK, ""))
	for _, test := range []struct{ path, value, want string }{
		{"/a/${jobParameter}/b", "..", ""},
		{"/a/${jobParameter}", ".", ""},
		{"/a/.${jobParameter}", ".", ""},
		{"/a/%2E${jobParameter}?b", ".", ""},
		{"/a/../${jobParameter}", "..", ""},
		{"/a/../${jobParameter}", "x", "/a/../x"},
		{"/a/${jobParameter}", "...", "/a/..."},
		{"/a/x${jobParameter}?b=${jobParameter}/..", "..", "/a/x..?b=../.."},
		{"/a/${jobParameter}", "../b", "/a/..%2Fb"},
	} {
		c := context3()
		c.JobParameter = test.value
		_, err := newJobOf(t.Context(), t, properties(s.URL+test.path)).Execute(t.Context(), spi.ExecuteRequest{Context: c, Services: &recorder{}})
		switch {
		case test.want == "" && (spi.AsError(err) == nil || !strings.Contains(err.Error(), "leads elsewhere")):
			t.Errorf("%s with %q = %v, want an error", test.path, test.value, err)
		case test.want != "" && (err != nil || s.last().uri != test.want):
			t.Errorf("%s with %q = %v and asks for %s, want %s", test.path, test.value, err, s.last().uri, test.want)
		}
	}
}
