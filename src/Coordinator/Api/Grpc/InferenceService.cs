using Grpc.Core;
using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Text;
using Wire = TensorParallel.Protocol.Wire.Inference;

namespace TensorParallel.Coordinator.Api.Grpc;

/// <summary>
/// The public gRPC service. What it throws, <see cref="StatusInterceptor"/> makes a status; the call's token ends with
/// the call, its deadline or its connection, and with it the computation.
/// </summary>
/// <param name="models">What is served; a request that names none goes to the first.</param>
internal sealed class InferenceService(ServedModels models) : Wire.Inference.InferenceBase
{
    /// <inheritdoc/>
    public override async Task Generate(
        Wire.GenerateRequest request,
        IServerStreamWriter<Wire.GenerateResponse> responseStream,
        ServerCallContext context)
    {
        var model = models.Find(request.Model);
        var generate = model.Requests.Create(InferenceMapping.ToPrompt(request), InferenceMapping.ToOptions(request));
        var started = false;
        await foreach (var generated in model.GenerateAsync(generate, context.CancellationToken))
        {
            // With the first token, so that a request that is refused by the engine has no message before its status.
            if (!started)
            {
                await responseStream.WriteAsync(InferenceMapping.ToStarted(generate), context.CancellationToken);
                started = true;
            }

            await responseStream.WriteAsync(InferenceMapping.ToMessage(generated), context.CancellationToken);
        }
    }

    /// <inheritdoc/>
    public override Task<Wire.TokenizeResponse> Tokenize(Wire.TokenizeRequest request, ServerCallContext context)
    {
        var ids = Tokenizer(models.Find(request.Model)).Encode(request.Text, !request.HasAddSpecialTokens || request.AddSpecialTokens);
        return Task.FromResult(new Wire.TokenizeResponse { Ids = { ids } });
    }

    /// <inheritdoc/>
    public override Task<Wire.DetokenizeResponse> Detokenize(Wire.DetokenizeRequest request, ServerCallContext context)
    {
        var model = models.Find(request.Model);
        var tokenizer = Tokenizer(model);
        var vocabulary = model.Info.Spec.VocabularySize;
        if (request.Ids.Any(id => id < 0 || id >= vocabulary))
        {
            throw new RpcException(new Status(
                StatusCode.InvalidArgument,
                $"An id is {request.Ids.First(id => id < 0 || id >= vocabulary)}, "
                + $"but the vocabulary's ids are 0 to {vocabulary - 1}."));
        }

        var text = tokenizer.Decode(request.Ids, !request.HasSkipSpecialTokens || request.SkipSpecialTokens);
        return Task.FromResult(new Wire.DetokenizeResponse { Text = text });
    }

    /// <inheritdoc/>
    public override Task<Wire.GetModelInfoResponse> GetModelInfo(
        Wire.GetModelInfoRequest request, ServerCallContext context) =>
        Task.FromResult(InferenceMapping.ToMessage(models.Find(request.Model)));

    /// <inheritdoc/>
    public override Task<Wire.GetStatsResponse> GetStats(Wire.GetStatsRequest request, ServerCallContext context) =>
        Task.FromResult(InferenceMapping.ToMessage(models.Find(request.Model).Engine.Statistics));

    private static Tokenizer Tokenizer(ServedModel model) => model.Tokenizer
        ?? throw new RpcException(new Status(
            StatusCode.FailedPrecondition, "The model folder has no tokenizer.json: only token ids can be used."));
}
