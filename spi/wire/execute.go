package wire

import (
	"github.com/elasticjob-go/elasticjob/spi"
)

// AppendExecuteRequest adds the request of elasticjob_execute for the plugin
// of that type name, or [PluginWASM].
func AppendExecuteRequest(b []byte, plugin string, c spi.ShardingContext) []byte {
	b = appendRequest(b, TypeExecute)
	b = appendText(b, "plugin", plugin)
	b = AppendContext(appendName(b, "context"), c)
	return append(b, '}')
}

// DecodeExecuteRequest reads the request of elasticjob_execute.
func DecodeExecuteRequest(data []byte) (plugin string, c spi.ShardingContext, err error) {
	err = decode(data, "execute request", requestFields(TypeExecute,
		must("plugin", text(&plugin)),
		must("context", object(contextFields(&c)...)),
	)...)
	if err != nil {
		return "", spi.ShardingContext{}, err
	}
	return plugin, c, nil
}

// AppendExecuteResponse adds the response of elasticjob_execute, {} without a
// message. A message longer than [MaxText] is cut.
func AppendExecuteResponse(b []byte, r spi.ExecuteResponse) []byte {
	b = append(b, '{')
	b = appendGiven(b, "message", Cut(r.Message, MaxText))
	return append(b, '}')
}

// DecodeExecuteResponse reads the response of elasticjob_execute. Empty data
// counts as {}, and a message longer than [MaxText] is cut.
func DecodeExecuteResponse(data []byte) (spi.ExecuteResponse, error) {
	var r spi.ExecuteResponse
	if len(data) == 0 {
		return r, nil
	}
	if err := decode(data, "execute response", may("message", text(&r.Message))); err != nil {
		return spi.ExecuteResponse{}, err
	}
	r.Message = Cut(r.Message, MaxText)
	return r, nil
}
