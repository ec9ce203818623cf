using System.Net.Sockets;

namespace TensorParallel.Protocol.Wire.Frames;

/// <summary>
/// The sending half of a <see cref="MessageSocket"/>: a frame goes to the system on the caller's own thread, so that none has to wake first.
/// Only what the socket's buffer does not take (a stuck reader, a plan of 1 MB) waits, in order, for a thread that is there as long as
/// something waits. Thread-safe.
/// </summary>
/// <param name="socket">Connected and non-blocking; stays the caller's.</param>
internal sealed class FrameWriter(Socket socket)
{
    private readonly Lock _gate = new();
    private readonly Queue<ReadOnlyMemory<byte>> _waiting = new();
    private ReadOnlyMemory<byte> _head; // waits before the others; empty: nothing waits
    private bool _isComplete;
    private bool _isBroken;

    /// <summary>Sends a frame, or lets it wait; returns at once. What comes after the end goes nowhere.</summary>
    public void Write(ReadOnlyMemory<byte> frame)
    {
        lock (_gate)
        {
            if (_isComplete || _isBroken)
            {
                return;
            }

            if (!_head.IsEmpty)
            {
                _waiting.Enqueue(frame);
                return;
            }

            _head = Send(frame);
            if (!_head.IsEmpty)
            {
                new Thread(SendWaiting) { IsBackground = true, Name = "frame writer" }.Start();
            }
        }
    }

    /// <summary>Tells the other side that nothing more comes, once all that waits is sent; returns at once.</summary>
    public void Complete()
    {
        lock (_gate)
        {
            _isComplete = true;
            if (_head.IsEmpty)
            {
                End();
            }
        }
    }

    private void SendWaiting()
    {
        try
        {
            do
            {
                socket.Poll(Timeout.InfiniteTimeSpan, SelectMode.SelectWrite);
            }
            while (!SendSome());
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The stream's owner has given it up, and with it what waited; or it cannot be waited for any more.
            lock (_gate)
            {
                Break();
            }
        }
    }

    // True when nothing waits any more.
    private bool SendSome()
    {
        lock (_gate)
        {
            do
            {
                _head = Send(_head);
                if (!_head.IsEmpty)
                {
                    return false;
                }
            }
            while (_waiting.TryDequeue(out _head));

            if (_isComplete)
            {
                End();
            }

            return true;
        }
    }

    // Gives what the system does not take now: nothing once the stream is broken.
    private ReadOnlyMemory<byte> Send(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            while (!bytes.IsEmpty)
            {
                var sent = socket.Send(bytes.Span, SocketFlags.None, out var error);
                if (error == SocketError.WouldBlock)
                {
                    return bytes;
                }

                if (error != SocketError.Success)
                {
                    Break();
                    break;
                }

                bytes = bytes[sent..];
            }
        }
        catch (ObjectDisposedException)
        {
            Break();
        }

        return ReadOnlyMemory<byte>.Empty;
    }

    private void End()
    {
        try
        {
            socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            Break();
        }
    }

    // Both sides' receiving halves see the end: a stream that lost a part of a frame is of no use to anybody.
    private void Break()
    {
        _isBroken = true;
        _head = default;
        _waiting.Clear();
        try
        {
            socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // It has ended already.
        }
    }
}
