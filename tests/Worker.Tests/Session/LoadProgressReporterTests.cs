using TensorParallel.Worker.Session;
using Xunit;

namespace TensorParallel.Worker.Tests.Session;

public sealed class LoadProgressReporterTests
{
    private readonly StoppedClock _clock = new();
    private readonly List<long> _sent = [];
    private readonly LoadProgressReporter _reporter;

    public LoadProgressReporterTests()
    {
        _reporter = new LoadProgressReporter(message => _sent.Add(message.Progress.BytesDone), _clock);
    }

    [Fact]
    public void At_most_ten_a_second_go_out()
    {
        for (var done = 1; done <= 1000; done++)
        {
            _reporter.Report(done, 10_000);
            _clock.Advance(TimeSpan.FromMilliseconds(5)); // 1,000 reports in 5 seconds
        }

        Assert.Equal(50, _sent.Count);
        Assert.Equal(1, _sent[0]);
    }

    [Fact]
    public void The_end_always_goes_out_and_once()
    {
        _reporter.Report(1, 100);
        _reporter.Report(50, 100);
        _reporter.Report(100, 100);
        _reporter.Report(100, 100);

        Assert.Equal([1, 100], _sent);
    }

    [Fact]
    public void Values_that_go_back_are_dropped()
    {
        foreach (var done in (ReadOnlySpan<int>)[0, 30, 20, 40])
        {
            _reporter.Report(done, 100);
            _clock.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal([0, 30, 40], _sent);
    }

    private sealed class StoppedClock : TimeProvider
    {
        private long _ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _ticks;

        public void Advance(TimeSpan time) => _ticks += time.Ticks;
    }
}
