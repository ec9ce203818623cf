using System.Buffers.Binary;
using System.Diagnostics;
using Google.Protobuf;
using TensorParallel.Protocol.Wire;
using TensorParallel.Protocol.Wire.Frames;
using TensorParallel.Protocol.Wire.Workers;
using Xunit;

namespace TensorParallel.Protocol.Tests.Wire.Frames;

/// <summary>Worker commands over real sockets, among them what a broken or hostile process would send.</summary>
public sealed class MessageSocketTests : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    private readonly SocketPair _pair = new();

    public void Dispose() => _pair.Dispose();

    [Fact]
    public async Task Messages_of_every_size_arrive_whole_and_in_order()
    {
        var random = new Random(11);
        int[] sizes = [0, 1, 300, 65_524, 65_525, 65_531, 65_532, 65_533, 65_536, 1 << 20, 7, 0, 3 << 20, 2];
        var sent = sizes.Select(size => Blob(random, size)).Append(new WorkerCommand()).ToArray();
        using var other = new MessageSocket(_pair.Raw);
        Array.ForEach(sent, other.Send);
        other.CompleteSending();

        var received = await AllAsync();

        Assert.Equal(sent, received);
        Assert.Null(_pair.Messages.Problem);
    }

    [Fact]
    public async Task A_message_may_come_byte_by_byte()
    {
        var command = Blob(new Random(12), 300);
        var receiving = AllAsync();
        foreach (var value in Frame(command))
        {
            _pair.Raw.Send([value]);
        }

        _pair.Raw.Shutdown(System.Net.Sockets.SocketShutdown.Send);
        Assert.Equal([command], await receiving);
    }

    [Fact]
    public async Task Sending_never_waits_for_a_reader_that_does_not_read_and_nothing_is_lost()
    {
        const int Threads = 4, Each = 40;
        using var other = new MessageSocket(_pair.Raw);
        var since = Stopwatch.GetTimestamp();
        var senders = Enumerable.Range(0, Threads).Select(thread => Task.Run(() =>
        {
            for (var i = 0; i < Each; i++)
            {
                var bytes = new byte[200_000];
                (bytes[0], bytes[1]) = ((byte)thread, (byte)i);
                other.Send(new WorkerCommand { Bootstrap = new Bootstrap { Blob = ByteString.CopyFrom(bytes) } });
            }
        })).ToArray();
        await Task.WhenAll(senders).WaitAsync(s_patience); // 32 MB, of which a socket takes some 200 kB
        other.CompleteSending();
        Assert.InRange(Stopwatch.GetElapsedTime(since), TimeSpan.Zero, s_patience);

        var received = await AllAsync();

        Assert.Equal(Threads * Each, received.Count);
        for (var thread = 0; thread < Threads; thread++)
        {
            var order = received.Select(command => command.Bootstrap.Blob).Where(blob => blob[0] == thread).Select(blob => (int)blob[1]);
            Assert.Equal(Enumerable.Range(0, Each), order);
        }
    }

    [Theory]
    [InlineData(101u)]
    [InlineData(0x7FFF_FFFFu)]
    [InlineData(0xFFFF_FFFFu)]
    public void A_message_longer_than_it_may_be_is_refused_by_its_announcement(uint length)
    {
        var header = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(header, length);
        _pair.Raw.Send(header);

        var error = Assert.Throws<WireException>(() => _pair.Messages.Receive(WorkerCommand.Parser, mostBytes: 100));

        Assert.Contains($"{length} bytes", error.Message, StringComparison.Ordinal);
        Assert.Contains("100", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(40)]
    public void An_end_in_the_middle_of_a_message_is_an_end_and_said(int bytes)
    {
        _pair.Raw.Send(Frame(Blob(new Random(13), 100)).AsSpan(0, bytes));
        _pair.Raw.Dispose();

        Assert.Null(_pair.Messages.Receive(WorkerCommand.Parser));
        Assert.Equal("the stream ended in the middle of a message", _pair.Messages.Problem);
    }

    [Fact]
    public async Task A_stream_that_is_given_up_while_something_waits_takes_no_more()
    {
        _pair.Messages.Send(Blob(new Random(17), 8 << 20)); // more than the socket takes
        _pair.Messages.Dispose();
        _pair.Messages.Send(Blob(new Random(18), 10));

        var received = await Task.Run(() =>
        {
            var (bytes, buffer) = (0, new byte[1 << 16]);
            for (var got = -1; got != 0; bytes += got)
            {
                got = _pair.Raw.Receive(buffer);
            }

            return bytes;
        }).WaitAsync(s_patience);
        Assert.InRange(received, 1, (8 << 20) - 1);
    }

    [Fact]
    public void What_is_no_message_is_an_error()
    {
        _pair.Raw.Send([3, 0, 0, 0, 0x0A, 0xFF, 0xFF]); // a field of more bytes than there are

        var error = Assert.Throws<WireException>(() => _pair.Messages.Receive(WorkerCommand.Parser));

        Assert.Contains(nameof(WorkerCommand), error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Patience_is_for_the_whole_message_and_not_for_each_of_its_bytes()
    {
        using var stop = new CancellationTokenSource();
        var dripping = Task.Run(async () =>
        {
            var frame = Frame(Blob(new Random(14), 10_000));
            for (var i = 0; i < frame.Length && !stop.IsCancellationRequested; i++)
            {
                _pair.Raw.Send(frame.AsSpan(i, 1));
                await Task.Delay(5);
            }
        });

        var patience = TimeSpan.FromSeconds(0.3);
        Assert.Throws<TimeoutException>(() => _pair.Messages.Receive(WorkerCommand.Parser, patience: patience));

        await stop.CancelAsync();
        await dripping;
    }

    [Fact]
    public async Task Disposing_wakes_who_waits_for_a_message_on_either_side()
    {
        using var other = new MessageSocket(_pair.Raw);
        var (here, there) = (AllAsync(), Task.Run(() => other.Receive(WorkerCommand.Parser)));

        _pair.Messages.Dispose();

        Assert.Empty(await here.WaitAsync(s_patience));
        Assert.Null(await there.WaitAsync(s_patience));
    }

    [Fact]
    public void What_was_sent_before_the_end_still_arrives()
    {
        using var other = new MessageSocket(_pair.Raw);
        _pair.Messages.Send(new WorkerCommand { Stop = new Stop() }); // never read by the other side
        var last = Blob(new Random(15), 1000);
        other.Send(last);
        other.Dispose();

        Assert.Equal(last, _pair.Messages.Receive(WorkerCommand.Parser));
        Assert.Null(_pair.Messages.Receive(WorkerCommand.Parser));
        Assert.NotNull(_pair.Messages.Problem); // the other side went with something unread
    }

    [Fact]
    public void A_send_that_finds_the_other_side_gone_does_not_take_what_it_said_last()
    {
        var last = Blob(new Random(19), 1000);
        _pair.Raw.Send(Frame(last));
        _pair.Raw.Dispose();
        _pair.Messages.Send(new WorkerCommand { Stop = new Stop() });

        Assert.Equal(last, _pair.Messages.Receive(WorkerCommand.Parser));
        Assert.Null(_pair.Messages.Receive(WorkerCommand.Parser));
    }

    [Fact]
    public void After_the_end_messages_go_nowhere()
    {
        _pair.Raw.Dispose();
        for (var i = 0; i < 3; i++)
        {
            _pair.Messages.Send(Blob(new Random(16), 1000));
        }

        _pair.Messages.Dispose();
        _pair.Messages.Send(new WorkerCommand());
        _pair.Messages.CompleteSending();
        Assert.Null(_pair.Messages.Receive(WorkerCommand.Parser));
    }

    private Task<List<WorkerCommand>> AllAsync() => Task.Run(() =>
    {
        var all = new List<WorkerCommand>();
        while (_pair.Messages.Receive(WorkerCommand.Parser) is { } command)
        {
            all.Add(command);
        }

        return all;
    }).WaitAsync(s_patience);

    private static WorkerCommand Blob(Random random, int bytes)
    {
        var blob = new byte[bytes];
        random.NextBytes(blob);
        return new WorkerCommand { Bootstrap = new Bootstrap { Blob = ByteString.CopyFrom(blob) } };
    }

    private static byte[] Frame(WorkerCommand command)
    {
        var body = command.ToByteArray();
        var frame = new byte[4 + body.Length];
        BinaryPrimitives.WriteInt32LittleEndian(frame, body.Length);
        body.CopyTo(frame, 4);
        return frame;
    }
}
