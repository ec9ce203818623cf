using Grpc.Core;
using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Tests.Engine;
using Xunit;
using Wire = TensorParallel.Protocol.Wire.Inference;

namespace TensorParallel.Coordinator.Tests.Api.Grpc;

/// <summary>Every failure has its status and says what is wrong.</summary>
public sealed class StatusTests
{
    [Fact]
    public async Task All_problems_of_a_request_are_told_at_once()
    {
        await using var api = await ApiFixture.StartAsync();
        var request = new Wire.GenerateRequest
        {
            PromptIds = new Wire.TokenIds { Ids = { 1, -5, 100_000 } },
            MaxNewTokens = 0,
            MinNewTokens = -1,
            Temperature = float.NaN,
            TopK = -1,
            TopP = 0,
            MinP = 1,
            RepetitionPenalty = 0,
            PresencePenalty = float.PositiveInfinity,
            FrequencyPenalty = float.NaN,
            Logprobs = 21,
            Stop = { "" },
            EosTokenIds = { 1 << 30 },
        };
        var detail = await FailAsync(api, request, StatusCode.InvalidArgument);
        string[] names =
        [
            "max_new_tokens", "min_new_tokens", "temperature is NaN", "top_k", "top_p", "min_p", "repetition_penalty",
            "presence_penalty", "frequency_penalty", "logprobs", "stop string is empty", "A prompt id is -5", "1 more",
            "end-of-sequence id is 1073741824",
        ];
        Assert.All(names, name => Assert.Contains(name, detail));
    }

    [Theory]
    [InlineData(-0.1f, 1f, 0f, "temperature")]
    [InlineData(float.PositiveInfinity, 1f, 0f, "temperature")]
    [InlineData(1f, 1.01f, 0f, "top_p")]
    [InlineData(1f, float.NaN, 0f, "top_p")]
    [InlineData(1f, 1f, -0.1f, "min_p")]
    [InlineData(1f, 1f, float.NaN, "min_p")]
    public async Task A_value_out_of_range_is_named_alone(float temperature, float topP, float minP, string name)
    {
        await using var api = await ApiFixture.StartAsync();
        var request = ApiFixture.Request(5, 1);
        (request.Temperature, request.TopP, request.MinP) = (temperature, topP, minP);
        var detail = await FailAsync(api, request, StatusCode.InvalidArgument);
        Assert.StartsWith(name + " is ", detail);
        Assert.Single(detail.Split(". "));
    }

    [Fact]
    public async Task A_prompt_that_fills_the_context_is_refused_with_numbers()
    {
        await using var api = await ApiFixture.StartAsync();
        var detail = await FailAsync(
            api, ApiFixture.Request(5, [.. Enumerable.Range(1, 96)]), StatusCode.InvalidArgument);
        Assert.Contains("The prompt has 96 tokens, but the context holds 96", detail);
    }

    [Fact]
    public async Task A_prompt_is_needed()
    {
        await using var api = await ApiFixture.StartAsync();
        Assert.Contains("prompt or prompt_ids",
            await FailAsync(api, new Wire.GenerateRequest(), StatusCode.InvalidArgument));
        Assert.Contains("prompt is empty", await FailAsync(api, ApiFixture.Request(5), StatusCode.InvalidArgument));
    }

    [Fact]
    public async Task Minimum_above_maximum_and_too_many_stop_strings_are_refused()
    {
        await using var api = await ApiFixture.StartAsync();
        var request = ApiFixture.Request(5, 1);
        request.MinNewTokens = 6;
        request.Stop.Add(Enumerable.Range(0, 17).Select(i => $"stop {i}"));
        var detail = await FailAsync(api, request, StatusCode.InvalidArgument);
        Assert.Contains("min_new_tokens is 6, but max_new_tokens is only 5.", detail);
        Assert.Contains("17 stop strings", detail);
    }

    [Fact]
    public async Task Text_without_a_tokenizer_is_refused_and_ids_are_fine()
    {
        await using var api = await ApiFixture.StartAsync(hasTokenizer: false);
        var request = new Wire.GenerateRequest { Prompt = "In the beginning", Stop = { "x" } };
        var detail = await FailAsync(api, request, StatusCode.InvalidArgument);
        Assert.Contains("text prompt needs a tokenizer", detail);
        Assert.Contains("Stop strings need a tokenizer", detail);
        var tokenize = await Assert.ThrowsAsync<RpcException>(
            async () => await api.Client.TokenizeAsync(new Wire.TokenizeRequest { Text = "x" }));
        Assert.Equal(StatusCode.FailedPrecondition, tokenize.StatusCode);

        var events = await InferenceServiceTests.ReadAsync(api.Client.Generate(ApiFixture.Request(5, 1)));
        Assert.All(events[1..^1], message => Assert.Equal(string.Empty, message.Token.Text));
        Assert.Equal(5, events[^1].Finished.GeneratedTokens);
    }

    [Fact]
    public async Task A_lost_worker_is_unavailable_with_its_rank_and_the_next_request_is_served()
    {
        var gate = new StepGate();
        await using var api = await ApiFixture.StartAsync(
            start => start == 1
                ? new FakeWorkerGroup(EngineFixture.Limits, gate.PassAsync)
                : EngineFixture.Unpaced(start));
        gate.Allow(2);
        using var call = api.Client.Generate(ApiFixture.Request(50, 1, 2));
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        api.Engine.Factory.Groups[0].Lose(1);
        var error = await Assert.ThrowsAsync<RpcException>(() => InferenceServiceTests.ReadAsync(call));
        Assert.Equal((StatusCode.Unavailable, "Worker 1 (fake) was killed."), (error.StatusCode, error.Status.Detail));

        var events = await InferenceServiceTests.ReadAsync(api.Client.Generate(ApiFixture.Request(5, 1)));
        Assert.Equal(5, events[^1].Finished.GeneratedTokens);
    }

    [Fact]
    public async Task A_full_queue_is_resource_exhausted()
    {
        var gate = new StepGate();
        await using var api = await ApiFixture.StartAsync(
            _ => new FakeWorkerGroup(EngineFixture.Limits, gate.PassAsync),
            options: new EngineOptions { MaxWaiting = 1 });
        using var running = api.Client.Generate(ApiFixture.Request(9, 1));
        await api.Engine.WaitUntilAsync(() => api.Engine.Engine.Statistics.Running == 1, "a running request");
        using var waiting = api.Client.Generate(ApiFixture.Request(9, 1));
        await api.Engine.WaitUntilAsync(() => api.Engine.Engine.Statistics.Waiting == 1, "a waiting request");
        Assert.Contains("1 requests are waiting",
            await FailAsync(api, ApiFixture.Request(9, 1), StatusCode.ResourceExhausted));
    }

    [Fact]
    public async Task A_draining_server_is_unavailable()
    {
        await using var api = await ApiFixture.StartAsync();
        await api.Engine.Engine.DrainAsync(EngineFixture.Patience, CancellationToken.None);
        Assert.Contains("shutting down", await FailAsync(api, ApiFixture.Request(5, 1), StatusCode.Unavailable));
    }

    private static async Task<string> FailAsync(ApiFixture api, Wire.GenerateRequest request, StatusCode expected)
    {
        using var call = api.Client.Generate(request);
        var error = await Assert.ThrowsAsync<RpcException>(() => InferenceServiceTests.ReadAsync(call));
        Assert.Equal(expected, error.StatusCode);
        return error.Status.Detail;
    }
}
