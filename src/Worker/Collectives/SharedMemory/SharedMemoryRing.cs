namespace TensorParallel.Worker.Collectives.SharedMemory;

/// <summary>
/// One end of the ring that carries messages from one rank to one other. A message is its length, 8 bytes, and its
/// bytes; it may be longer than the ring: then the sender waits for the receiver to make room.
/// </summary>
internal sealed unsafe class SharedMemoryRing
{
    private readonly PeerWaits _waits;
    private readonly int _peer;
    private readonly byte* _bytes;
    private readonly int _capacity;
    private readonly long* _written;
    private readonly long* _read;

    /// <summary>Bytes this end has written or read so far; the other end's count stands in the segment.</summary>
    private long _position;

    public SharedMemoryRing(SharedMemorySegment segment, PeerWaits waits, int from, int to, int peer)
    {
        var at = segment.At(segment.Layout.Ring(from, to));
        _waits = waits;
        _peer = peer;
        _written = (long*)at;
        _read = (long*)(at + SharedMemoryLayout.LineBytes);
        _bytes = at + (2 * SharedMemoryLayout.LineBytes);
        _capacity = segment.Layout.RingBytes;
    }

    /// <summary>The other end moves in steps of this size, so that both work at once on a long message.</summary>
    private int StepBytes => _capacity / 4;

    /// <summary>Writes a message; returns when its last byte is in the ring.</summary>
    public void Send(TensorBytes message, CallSite call)
    {
        var length = message.Length;
        Write(new ReadOnlySpan<byte>(&length, sizeof(long)), call);
        for (long done = 0; done < length;)
        {
            var piece = message.Piece(done, StepBytes);
            Write(piece, call);
            done += piece.Length;
        }

        _waits.Advance(_written, _position, _peer);
    }

    /// <summary>Reads the next message, which must be as long as the tensor.</summary>
    public void Receive(TensorBytes message, CallSite call)
    {
        long length;
        Read(new Span<byte>(&length, sizeof(long)), call);
        if (length != message.Length)
        {
            _waits.Poison();
            throw new CollectiveException(
                $"{call.Operation} (call {call.Number}) expects {message.Length} bytes from rank {_peer}, which sent "
                + $"{length}: both ends must name the same shape.");
        }

        for (long done = 0; done < length;)
        {
            var piece = message.Piece(done, StepBytes);
            Read(piece, call);
            done += piece.Length;
        }

        _waits.Advance(_read, _position, _peer);
    }

    private void Write(ReadOnlySpan<byte> source, CallSite call)
    {
        while (!source.IsEmpty)
        {
            if (_position - Volatile.Read(ref *_read) == _capacity)
            {
                _waits.Advance(_written, _position, _peer);
                _waits.For(_read, _position - _capacity + 1, _peer, call);
            }

            var room = Room(_capacity - (_position - Volatile.Read(ref *_read)));
            var part = source[..Math.Min(source.Length, room.Length)];
            part.CopyTo(room);
            Moved(_written, part.Length);
            source = source[part.Length..];
        }
    }

    private void Read(Span<byte> target, CallSite call)
    {
        while (!target.IsEmpty)
        {
            if (_position == Volatile.Read(ref *_written))
            {
                _waits.Advance(_read, _position, _peer);
                _waits.For(_written, _position + 1, _peer, call);
            }

            var there = Room(Volatile.Read(ref *_written) - _position);
            var part = there[..Math.Min(target.Length, there.Length)];
            part.CopyTo(target);
            Moved(_read, part.Length);
            target = target[part.Length..];
        }
    }

    /// <summary>
    /// Tells the other end at every step's boundary: often enough to overlap, seldom enough to be cheap.
    /// </summary>
    private void Moved(long* counter, int bytes)
    {
        var step = _position / StepBytes;
        _position += bytes;
        if (_position / StepBytes != step)
        {
            _waits.Advance(counter, _position, _peer);
        }
    }

    /// <summary>The ring's bytes from the position on, to its end at most.</summary>
    private Span<byte> Room(long bytes)
    {
        var at = (int)(_position & (_capacity - 1));
        return new Span<byte>(_bytes + at, (int)Math.Min(bytes, _capacity - at));
    }
}
