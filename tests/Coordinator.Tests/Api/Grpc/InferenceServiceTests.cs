using Grpc.Core;
using TensorParallel.Coordinator.Tests.Engine;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using Xunit;
using Wire = TensorParallel.Protocol.Wire.Inference;

namespace TensorParallel.Coordinator.Tests.Api.Grpc;

public sealed class InferenceServiceTests
{
    [Fact]
    public async Task A_generation_starts_streams_and_finishes()
    {
        await using var api = await ApiFixture.StartAsync();
        var events = await ReadAsync(api.Client.Generate(ApiFixture.Request(12, 5, 6, 7)));
        var expected = FakeModel.Run(new GenerateRequest([5, 6, 7], 12, new SamplingParameters { Seed = 3 }, []));

        Assert.Equal([5, 6, 7], events[0].Started.PromptIds);
        Assert.Equal(3UL, events[0].Started.Seed);
        Assert.Equal(expected.Ids, events[1..^1].Select(message => message.Token.Id));
        Assert.All(events[1..^1], message => Assert.False(message.Token.HasLogprob));
        var finished = events[^1].Finished;
        Assert.Equal(Wire.FinishReason.Length, finished.Reason);
        Assert.Equal((3, 12), (finished.PromptTokens, finished.GeneratedTokens));
        Assert.True(finished.TimeToFirstTokenMs > 0);
        var text = string.Concat(events[1..^1].Select(message => message.Token.Text)) + finished.Text;
        Assert.Equal(api.Model.Tokenizer!.Decode(expected.Ids), text);
    }

    [Fact]
    public async Task Defaults_are_filled_in_and_a_seed_is_drawn_and_reported()
    {
        await using var api = await ApiFixture.StartAsync(
            limits: EngineFixture.Limits with { MaxContextTokens = 200, KvBlocks = 50 });
        var events = await ReadAsync(
            api.Client.Generate(new Wire.GenerateRequest { Prompt = "In the beginning", IgnoreEos = true }));
        Assert.Equal(api.Model.Tokenizer!.Encode("In the beginning"), events[0].Started.PromptIds);
        Assert.Equal(128, events[^1].Finished.GeneratedTokens);

        var again = await ReadAsync(
            api.Client.Generate(new Wire.GenerateRequest { Prompt = "In the beginning", IgnoreEos = true }));
        Assert.NotEqual(events[0].Started.Seed, again[0].Started.Seed);
        var repeated = await ReadAsync(api.Client.Generate(
            new Wire.GenerateRequest { Prompt = "In the beginning", IgnoreEos = true, Seed = events[0].Started.Seed }));
        Assert.Equal(events[1..^1], repeated[1..^1]);
    }

    [Fact]
    public async Task New_tokens_are_cut_to_what_the_context_leaves()
    {
        await using var api = await ApiFixture.StartAsync();
        var events = await ReadAsync(api.Client.Generate(ApiFixture.Request(500, [.. Enumerable.Range(1, 90)])));
        Assert.Equal(6, events[^1].Finished.GeneratedTokens);
        Assert.Equal(Wire.FinishReason.Length, events[^1].Finished.Reason);
    }

    [Fact]
    public async Task Ends_of_sequence_are_the_models_and_the_requests()
    {
        await using var api = await ApiFixture.StartAsync();
        var request = ApiFixture.Request(60, 5, 6, 7);
        var ids = (await ReadAsync(api.Client.Generate(request)))[1..^1].Select(message => message.Token.Id).ToList();
        request.IgnoreEos = false;
        request.EosTokenIds.Add(ids[4]);
        var events = await ReadAsync(api.Client.Generate(request));
        var end = ids.FindIndex(id => id == ids[4] || id == 90);
        Assert.Equal(ids[..(end + 1)], events[1..^1].Select(message => message.Token.Id));
        Assert.Equal(Wire.FinishReason.Stop, events[^1].Finished.Reason);
    }

    [Fact]
    public async Task Log_probabilities_are_reported_when_asked_for()
    {
        await using var api = await ApiFixture.StartAsync();
        var request = ApiFixture.Request(2, 5);
        request.Logprobs = 4;
        var events = await ReadAsync(api.Client.Generate(request));
        Assert.All(
            events[1..^1], message => Assert.Equal((-1f, 4), (message.Token.Logprob, message.Token.TopLogprobs.Count)));
    }

    [Fact]
    public async Task Text_goes_to_ids_and_back()
    {
        await using var api = await ApiFixture.StartAsync();
        var tokenizer = api.Model.Tokenizer!;
        var whole = await api.Client.TokenizeAsync(new Wire.TokenizeRequest { Text = "In the beginning" });
        Assert.Equal(tokenizer.Encode("In the beginning"), whole.Ids);
        var plain = await api.Client.TokenizeAsync(
            new Wire.TokenizeRequest { Text = "In the beginning", AddSpecialTokens = false });
        Assert.Equal(tokenizer.Encode("In the beginning", false), plain.Ids);

        var text = await api.Client.DetokenizeAsync(new Wire.DetokenizeRequest { Ids = { whole.Ids } });
        Assert.Equal("In the beginning", text.Text);
        var marked = await api.Client.DetokenizeAsync(
            new Wire.DetokenizeRequest { Ids = { whole.Ids }, SkipSpecialTokens = false });
        Assert.Equal(tokenizer.Decode(whole.Ids, false), marked.Text);
    }

    [Fact]
    public async Task Model_info_holds_the_plan()
    {
        await using var api = await ApiFixture.StartAsync();
        var info = await api.Client.GetModelInfoAsync(new Wire.GetModelInfoRequest());
        Assert.Equal(("primer", "llama", "float32"), (info.Name, info.ModelType, info.Dtype));
        Assert.Equal(("tensor_parallel", 2), (info.Mode, info.WorldSize));
        Assert.Equal(96, info.MaxContextTokens);
        Assert.True(info.HasTokenizer);
        Assert.Equal([90], info.EosTokenIds);
        Assert.Equal(96, PlanJson.Deserialize(info.PlanJson).Limits.MaxContextTokens);
    }

    [Fact]
    public async Task Cancelling_a_call_ends_its_computation()
    {
        var gate = new StepGate();
        await using var api = await ApiFixture.StartAsync(
            _ => new FakeWorkerGroup(EngineFixture.Limits, gate.PassAsync));
        using var call = api.Client.Generate(ApiFixture.Request(80, 1, 2, 3));
        gate.Allow(4);
        for (var i = 0; i < 5; i++)
        {
            Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        }

        Assert.Equal(1, (await api.Client.GetStatsAsync(new Wire.GetStatsRequest())).Running);
        call.Dispose();
        await api.Engine.WaitUntilAsync(() => api.Engine.Engine.Statistics.Running == 0, "the end of the computation");
        gate.Allow(100);
        await api.Engine.CheckNothingIsLeftAsync();
        var stats = await api.Client.GetStatsAsync(new Wire.GetStatsRequest());
        Assert.InRange(stats.Steps, 4, 6);
        Assert.Equal(("ready", 0, 0), (stats.State, stats.Running, stats.Waiting));
    }

    [Fact]
    public async Task A_deadline_ends_the_call_and_the_computation()
    {
        var gate = new StepGate();
        await using var api = await ApiFixture.StartAsync(
            _ => new FakeWorkerGroup(EngineFixture.Limits, gate.PassAsync));
        gate.Allow(3);
        using var call = api.Client.Generate(ApiFixture.Request(80, 1, 2, 3), deadline: DateTime.UtcNow.AddSeconds(1));
        var error = await Assert.ThrowsAsync<RpcException>(() => ReadAsync(call));
        Assert.Equal(StatusCode.DeadlineExceeded, error.StatusCode);
        await api.Engine.WaitUntilAsync(() => api.Engine.Engine.Statistics.Running == 0, "the end of the computation");
        gate.Allow(100);
        await api.Engine.CheckNothingIsLeftAsync();
        Assert.InRange(api.Engine.Engine.Statistics.Steps, 3, 5);
    }

    internal static async Task<List<Wire.GenerateResponse>> ReadAsync(
        AsyncServerStreamingCall<Wire.GenerateResponse> call)
    {
        var read = new List<Wire.GenerateResponse>();
        using var patience = new CancellationTokenSource(EngineFixture.Patience);
        while (await call.ResponseStream.MoveNext(patience.Token))
        {
            read.Add(call.ResponseStream.Current);
        }

        return read;
    }
}
