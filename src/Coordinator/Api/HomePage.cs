using TensorParallel.Coordinator.Engine;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Api;

/// <summary>Plain text for people who open the server's address: what this is and how to call it.</summary>
internal static class HomePage
{
    /// <summary>The text; <paramref name="host"/> is the address the reader used.</summary>
    public static string Text(ServedModels models, string host)
    {
        var all = models.All;
        var input = all is [{ Tokenizer: null }, ..]
            ? """{"prompt_ids": {"ids": [1, 2]}}"""
            : """{"prompt": "In the beginning"}""";
        return $"""
            {(all.Count == 0 ? "No model is loaded." : string.Join('\n', all.Select(Line)))}

            gRPC service tensorparallel.v1.Inference on the HTTP/2 port: Generate (streams), Tokenize, Detokenize,
            GetModelInfo, GetStats. Requests choose a model by its name; those that do not get the first. Reflection and
            grpc.health.v1.Health are there too. For example, with the HTTP/2 port on 50051:

              grpcurl -plaintext -d '{input}' localhost:50051 tensorparallel.v1.Inference/Generate

            http://{host}/health answers 200 while requests are computed, 503 otherwise; /health/NAME for one model.

            """;
    }

    private static string Line(ServedModel model)
    {
        var (name, spec, plan, _) = model.Info;
        return $"{name} ({spec.ModelType}), {PlanModeNames.NameOf(plan.Mode)} on {plan.WorldSize} worker(s): {model.Engine.State}.";
    }
}
