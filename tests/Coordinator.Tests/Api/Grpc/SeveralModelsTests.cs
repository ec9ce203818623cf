using Grpc.Core;
using Grpc.Health.V1;
using TensorParallel.Coordinator.Tests.Engine;
using Xunit;
using Serving = Grpc.Health.V1.HealthCheckResponse.Types.ServingStatus;
using Wire = TensorParallel.Protocol.Wire.Inference;

namespace TensorParallel.Coordinator.Tests.Api.Grpc;

/// <summary>Requests choose a model by its name.</summary>
public sealed class SeveralModelsTests
{
    [Fact]
    public async Task A_request_goes_to_the_model_it_names_and_to_the_first_if_it_names_none()
    {
        await using var api = await ApiFixture.StartAsync();
        api.Models.Add(api.Model with { Info = api.Model.Info with { Name = "second" }, Tokenizer = null });

        Assert.Equal("primer", (await api.Client.GetModelInfoAsync(new Wire.GetModelInfoRequest())).Name);
        Assert.Equal("primer", (await api.Client.GetModelInfoAsync(new Wire.GetModelInfoRequest { Model = "" })).Name);
        var second = await api.Client.GetModelInfoAsync(new Wire.GetModelInfoRequest { Model = "second" });
        Assert.Equal(("second", false), (second.Name, second.HasTokenizer));
        Assert.NotEmpty((await api.Client.TokenizeAsync(new Wire.TokenizeRequest { Text = "a", Model = "primer" })).Ids);
        var noText = await Assert.ThrowsAsync<RpcException>(
            async () => await api.Client.TokenizeAsync(new Wire.TokenizeRequest { Text = "a", Model = "second" }));
        Assert.Equal(StatusCode.FailedPrecondition, noText.StatusCode);

        var request = ApiFixture.Request(5, 1, 2);
        request.Model = "second";
        Assert.Equal(5, (await InferenceServiceTests.ReadAsync(api.Client.Generate(request)))[^1].Finished.GeneratedTokens);
        await api.Engine.CheckNothingIsLeftAsync();
    }

    [Fact]
    public async Task An_unknown_name_is_not_found_and_the_names_are_told()
    {
        await using var api = await ApiFixture.StartAsync();
        api.Models.Add(api.Model with { Info = api.Model.Info with { Name = "second" } });
        var request = ApiFixture.Request(5, 1, 2);
        request.Model = "third";
        var errors = new[]
        {
            await Assert.ThrowsAsync<RpcException>(() => InferenceServiceTests.ReadAsync(api.Client.Generate(request))),
            await Assert.ThrowsAsync<RpcException>(
                async () => await api.Client.GetStatsAsync(new Wire.GetStatsRequest { Model = "third" })),
        };
        Assert.All(errors, error => Assert.Equal(
            new Status(StatusCode.NotFound, "There is no model \"third\"; there is primer, second."), error.Status));

        foreach (var model in api.Models.All)
        {
            api.Models.Remove(model);
        }

        var none = await Assert.ThrowsAsync<RpcException>(async () => await api.Client.GetStatsAsync(new Wire.GetStatsRequest()));
        Assert.Equal(StatusCode.NotFound, none.StatusCode);
        Assert.Contains("No model is loaded", none.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Each_model_has_a_health_of_its_own_while_it_is_there()
    {
        await using var api = await ApiFixture.StartAsync();
        var health = new Health.HealthClient(api.Channel);
        var request = new HealthCheckRequest { Service = "tensorparallel.v1.Inference/second" };
        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<RpcException>(async () => await health.CheckAsync(request))).StatusCode);

        await using var other = new EngineFixture(EngineFixture.Unpaced);
        var second = api.Model with { Info = api.Model.Info with { Name = "second" }, Engine = other.Engine };
        api.Models.Add(second);
        Assert.Equal(Serving.NotServing, (await health.CheckAsync(request)).Status);
        await other.StartAsync();
        Assert.Equal(Serving.Serving, (await health.CheckAsync(request)).Status);
        Assert.Equal(Serving.Serving, (await health.CheckAsync(new HealthCheckRequest { Service = "tensorparallel.v1.Inference/primer" })).Status);
        using var http = new HttpClient { BaseAddress = api.HttpAddress };
        Assert.Equal("primer: Ready\nsecond: Ready\n", await http.GetStringAsync(new Uri("/health", UriKind.Relative)));
        Assert.Equal("Ready\n", await http.GetStringAsync(new Uri("/health/second", UriKind.Relative)));

        api.Models.Remove(second);
        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<RpcException>(async () => await health.CheckAsync(request))).StatusCode);
    }
}
