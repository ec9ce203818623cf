using System.Net;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace TensorParallel.Coordinator.Api;

/// <summary>Kestrel's settings for long-lived streams, and the listeners.</summary>
internal static class ApiListeners
{
    // Kestrel's default of 100 makes clients queue further calls on the connection without a word.
    private const int MaxStreamsPerConnection = 1000;

    /// <summary>
    /// Listens on two ports: without TLS nothing negotiates the protocol, and Kestrel takes a port that offers both for
    /// HTTP/1.
    /// </summary>
    public static void Configure(KestrelServerOptions server, ApiListenOptions listen)
    {
        ConfigureStreams(server);
        server.Listen(listen.Address, listen.GrpcPort, endpoint => endpoint.Protocols = HttpProtocols.Http2);
        server.Listen(listen.Address, listen.HttpPort, endpoint => endpoint.Protocols = HttpProtocols.Http1);
    }

    /// <summary>The admin service: loopback whatever the public address is, for its callers name folders and end models.</summary>
    public static void ConfigureAdmin(KestrelServerOptions server, int port)
    {
        ConfigureStreams(server);
        server.Listen(IPAddress.Loopback, port, endpoint => endpoint.Protocols = HttpProtocols.Http2);
    }

    private static void ConfigureStreams(KestrelServerOptions server)
    {
        server.AddServerHeader = false;
        server.Limits.Http2.MaxStreamsPerConnection = MaxStreamsPerConnection;

        // A reader that pauses, or a stream that waits for its first token, is no attack; a vanished peer is found by
        // pings.
        server.Limits.MinResponseDataRate = null;
        server.Limits.MinRequestBodyDataRate = null;
        server.Limits.Http2.KeepAlivePingDelay = TimeSpan.FromSeconds(30);
        server.Limits.Http2.KeepAlivePingTimeout = TimeSpan.FromSeconds(20);
    }
}
