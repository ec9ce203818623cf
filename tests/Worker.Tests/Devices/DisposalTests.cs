using TensorParallel.Worker.Devices;
using Xunit;

namespace TensorParallel.Worker.Tests.Devices;

public sealed class DisposalTests
{
    private readonly List<string> _done = [];

    [Fact]
    public void All_steps_are_taken_in_order_and_one_failure_comes_out_as_it_was()
    {
        var failure = new InvalidDataException("b");

        var thrown = Assert.Throws<InvalidDataException>(() => Disposal.Run(Step("a"), Step("b", failure), Step("c")));

        Assert.Same(failure, thrown);
        Assert.Equal(["a", "b", "c"], _done);
    }

    [Fact]
    public void Several_failures_come_out_together_whatever_the_depth()
    {
        var (first, second, third) = (new InvalidDataException("1"), new IOException("2"), new TimeoutException("3"));

        var thrown = Assert.Throws<AggregateException>(() => Disposal.Run(
            () => Disposal.Run(Step("a", first), Step("b", second)), Step("c", third), Step("d")));

        Assert.Equal([first, second, third], thrown.InnerExceptions);
        Assert.Equal(["a", "b", "c", "d"], _done);
    }

    [Fact]
    public void Nothing_to_dispose_is_left_out()
    {
        var stream = new MemoryStream();

        Disposal.Of(null, stream, null);

        Assert.False(stream.CanRead);
    }

    private Action Step(string name, Exception? failure = null) => () =>
    {
        _done.Add(name);
        if (failure is not null)
        {
            throw failure;
        }
    };
}
