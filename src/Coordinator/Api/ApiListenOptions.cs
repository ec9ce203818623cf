using System.Net;

namespace TensorParallel.Coordinator.Api;

/// <summary>Where the public interfaces listen.</summary>
internal sealed record ApiListenOptions
{
    /// <summary>Loopback unless told otherwise: nothing here asks who is calling.</summary>
    public IPAddress Address { get; init; } = IPAddress.Loopback;

    /// <summary>gRPC: HTTP/2 without TLS. 0: any free port.</summary>
    public int GrpcPort { get; init; } = 50051;

    /// <summary>Admin gRPC, on loopback only. 0: any free port; null: it is not served.</summary>
    public int? AdminPort { get; init; }

    /// <summary>HTTP/1.1. 0: any free port.</summary>
    public int HttpPort { get; init; } = 8080;
}
