using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Sockets;

namespace TensorParallel.Protocol.Wire.Frames;

/// <summary>The receiving half of a <see cref="MessageSocket"/>. Used by one thread.</summary>
/// <param name="socket">Connected and non-blocking; stays the caller's.</param>
internal sealed class FrameReader(Socket socket)
{
    private const int SmallestBuffer = 64 << 10;

    private static readonly TimeSpan s_longestWait = TimeSpan.FromMinutes(30);

    private byte[] _buffer = new byte[SmallestBuffer];
    private int _start;
    private int _end;

    /// <summary>What broke the stream, in words; null while it lives and after an orderly end.</summary>
    public string? Problem { get; private set; }

    /// <summary>
    /// Waits for the next frame and gives its body, which stays where it is until the next call; false when the stream has ended.
    /// </summary>
    /// <param name="mostBytes">Most bytes of the body.</param>
    /// <param name="patience">Longest wait for all of it; null: as long as it takes.</param>
    /// <param name="body">The body.</param>
    /// <exception cref="WireException">The other side announced more than that.</exception>
    /// <exception cref="TimeoutException">It took too long.</exception>
    public bool TryRead(int mostBytes, TimeSpan? patience, out ReadOnlySpan<byte> body)
    {
        body = default;
        var since = Stopwatch.GetTimestamp();
        if (!Fill(MessageFrame.HeaderBytes, patience, since))
        {
            return false;
        }

        // The length is the other side's word: nothing is allocated for it before it is looked at.
        var length = BinaryPrimitives.ReadUInt32LittleEndian(_buffer.AsSpan(_start));
        if (length > mostBytes)
        {
            throw new WireException($"A message of {length} bytes was announced, where {mostBytes} may come.");
        }

        if (!Fill(MessageFrame.HeaderBytes + (int)length, patience, since))
        {
            return false;
        }

        body = _buffer.AsSpan(_start + MessageFrame.HeaderBytes, (int)length);
        _start += MessageFrame.HeaderBytes + (int)length;
        return true;
    }

    // Has that many bytes from _start on; false at the end of the stream.
    private bool Fill(int bytes, TimeSpan? patience, long since)
    {
        MakeRoom(bytes);
        while (_end - _start < bytes)
        {
            var received = socket.Receive(_buffer.AsSpan(_end), SocketFlags.None, out var error);
            if (error == SocketError.WouldBlock)
            {
                Wait(patience, since);
            }
            else if (error != SocketError.Success)
            {
                Problem = new SocketException((int)error).Message;
                return false;
            }
            else if (received == 0)
            {
                // Whoever is killed while it sends leaves a part of a message behind.
                Problem = _end == _start ? null : "the stream ended in the middle of a message";
                return false;
            }
            else
            {
                _end += received;
            }
        }

        return true;
    }

    private void MakeRoom(int bytes)
    {
        if (_start + bytes <= _buffer.Length && _start < _end)
        {
            return;
        }

        // A large message (a plan of a large model, 1 MB) is rare: its buffer does not stay.
        var size = Math.Max(bytes, SmallestBuffer);
        var target = size <= _buffer.Length && _buffer.Length <= 2 * size ? _buffer : new byte[size];
        _buffer.AsSpan(_start.._end).CopyTo(target);
        (_buffer, _start, _end) = (target, 0, _end - _start);
    }

    private void Wait(TimeSpan? patience, long since)
    {
        if (patience is not { } longest)
        {
            socket.Poll(Timeout.InfiniteTimeSpan, SelectMode.SelectRead);
            return;
        }

        var left = longest - Stopwatch.GetElapsedTime(since);
        if (left <= TimeSpan.Zero)
        {
            throw new TimeoutException($"no message came within {longest.TotalSeconds:0.#} s");
        }

        // At most half an hour at a time: a wait is a number of microseconds that an int holds.
        socket.Poll(left < s_longestWait ? left : s_longestWait, SelectMode.SelectRead);
    }
}
