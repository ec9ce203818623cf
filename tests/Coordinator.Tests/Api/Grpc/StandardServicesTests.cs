using System.Net;
using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Reflection.V1Alpha;
using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Tests.Engine;
using Xunit;
using Serving = Grpc.Health.V1.HealthCheckResponse.Types.ServingStatus;

namespace TensorParallel.Coordinator.Tests.Api.Grpc;

/// <summary>Health, reflection and the pages on the HTTP/1 port.</summary>
public sealed class StandardServicesTests
{
    private const string ServiceName = "tensorparallel.v1.Inference";

    [Theory]
    [InlineData("")]
    [InlineData(ServiceName)]
    public async Task Health_is_told_when_it_changes(string service)
    {
        await using var api = await ApiFixture.StartAsync(startEngine: false);
        var health = new Health.HealthClient(api.Channel);
        using var watch = health.Watch(new HealthCheckRequest { Service = service });
        Assert.Equal(Serving.NotServing, await NextAsync(watch));
        Assert.Equal(Serving.NotServing,
            (await health.CheckAsync(new HealthCheckRequest { Service = service })).Status);

        var group = await api.Engine.StartAsync();
        Assert.Equal(Serving.Serving, await NextAsync(watch));
        Assert.Equal(Serving.Serving, (await health.CheckAsync(new HealthCheckRequest { Service = service })).Status);

        group.Lose(0);
        Assert.Equal(Serving.NotServing, await NextAsync(watch));
        Assert.Equal(Serving.Serving, await NextAsync(watch));
        await api.Engine.Engine.DrainAsync(TimeSpan.Zero, CancellationToken.None);
        Assert.Equal(Serving.NotServing, await NextAsync(watch));
        Assert.Equal(Serving.NotServing,
            (await health.CheckAsync(new HealthCheckRequest { Service = service })).Status);
    }

    [Fact]
    public async Task Health_of_an_unknown_service_is_not_found()
    {
        await using var api = await ApiFixture.StartAsync();
        var error = await Assert.ThrowsAsync<RpcException>(
            async () => await new Health.HealthClient(api.Channel).CheckAsync(
                new HealthCheckRequest { Service = "nobody" }));
        Assert.Equal(StatusCode.NotFound, error.StatusCode);
    }

    [Fact]
    public async Task Reflection_lists_the_services()
    {
        await using var api = await ApiFixture.StartAsync();
        using var call = new ServerReflection.ServerReflectionClient(api.Channel).ServerReflectionInfo();
        await call.RequestStream.WriteAsync(new ServerReflectionRequest { ListServices = string.Empty });
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        var names = call.ResponseStream.Current.ListServicesResponse.Service.Select(service => service.Name).ToArray();
        Assert.Contains(ServiceName, names);
        Assert.Contains("grpc.health.v1.Health", names);
        await call.RequestStream.CompleteAsync();
    }

    [Fact]
    public async Task People_get_a_page_and_probes_a_status()
    {
        await using var api = await ApiFixture.StartAsync(startEngine: false);
        using var http = new HttpClient { BaseAddress = api.HttpAddress };
        var starting = await http.GetAsync(new Uri("/health", UriKind.Relative));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, starting.StatusCode);
        Assert.Equal("Starting\n", await starting.Content.ReadAsStringAsync());

        await api.Engine.StartAsync();
        await api.Engine.WaitForStateAsync(EngineState.Ready);
        var ready = await http.GetAsync(new Uri("/health", UriKind.Relative));
        Assert.Equal(HttpStatusCode.OK, ready.StatusCode);
        Assert.False(ready.Headers.Contains("Server"));
        Assert.Contains(ServiceName, await http.GetStringAsync(new Uri("/", UriKind.Relative)));
    }

    [Fact]
    public async Task Three_hundred_generations_share_one_connection()
    {
        await using var api = await ApiFixture.StartAsync();
        var calls = Enumerable.Range(1, 300).Select(
            i => InferenceServiceTests.ReadAsync(api.Client.Generate(ApiFixture.Request(8, i))));
        var all = await Task.WhenAll(calls);
        Assert.All(all, events => Assert.Equal(8, events[^1].Finished.GeneratedTokens));
        await api.Engine.CheckNothingIsLeftAsync();
    }

    private static async Task<Serving> NextAsync(AsyncServerStreamingCall<HealthCheckResponse> watch)
    {
        using var patience = new CancellationTokenSource(EngineFixture.Patience);
        Assert.True(await watch.ResponseStream.MoveNext(patience.Token));
        return watch.ResponseStream.Current.Status;
    }
}
