using TensorParallel.Coordinator.Engine;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Api;

/// <summary>Plain text for people who open the server's address: what this is and how to call it.</summary>
internal static class HomePage
{
    /// <summary>The text; <paramref name="host"/> is the address the reader used.</summary>
    public static string Text(ServedModel model, string host)
    {
        var (name, spec, plan, _) = model.Info;
        var input = model.Tokenizer is null
            ? """{"prompt_ids": {"ids": [1, 2]}}"""
            : """{"prompt": "In the beginning"}""";
        var mode = PlanModeNames.NameOf(plan.Mode);
        return $"""
            {name} ({spec.ModelType}), {mode} on {plan.WorldSize} worker(s): {model.Engine.State}.

            gRPC service tensorparallel.v1.Inference on the HTTP/2 port: Generate (streams), Tokenize, Detokenize,
            GetModelInfo, GetStats. Reflection and grpc.health.v1.Health are there too. For example, with the HTTP/2
            port on 50051:

              grpcurl -plaintext -d '{input}' localhost:50051 tensorparallel.v1.Inference/Generate

            http://{host}/health answers 200 while requests are computed, 503 otherwise.

            """;
    }
}
