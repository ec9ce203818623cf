using TensorParallel.Worker.Offloading;
using Xunit;

namespace TensorParallel.Worker.Tests.Offloading;

public class SlotChoiceTests
{
    [Theory]
    [InlineData(32, 2, 8, 0.2, 2)]
    [InlineData(32, 4, 8, 0.2, 2)]
    [InlineData(32, 6, 8, 0.2, 2)]
    [InlineData(32, 4, 1, 8, 4)]
    [InlineData(5, 5, 8, 1, 5)]
    public void Slots_that_need_not_be_in_flight_keep_a_group(int groups, int slots, double come, double compute, int inFlight)
    {
        var times = Enumerable.Repeat(new GroupTimes(false, come, compute), groups).ToList();
        var numbers = SlotChoice.Choose(times, slots);
        var bySlot = numbers.GroupBy(number => number).Select(slot => slot.Count()).ToList();
        Assert.Equal(slots, bySlot.Count);
        Assert.Equal(groups <= slots ? 0 : inFlight, bySlot.Count(count => count > 1));
    }

    [Fact]
    public void A_step_takes_what_the_bus_takes_or_what_computing_takes_whichever_is_more()
    {
        var slow = Enumerable.Repeat(new GroupTimes(false, 8, 0.2), 32).ToList();
        int[] turns = [.. Enumerable.Range(0, 32).Select(i => i % 2)];
        Assert.Equal(256, SlotChoice.StepSeconds(slow, turns, 2), 0.5);
        var fast = Enumerable.Repeat(new GroupTimes(false, 0.2, 8), 32).ToList();
        Assert.Equal(256, SlotChoice.StepSeconds(fast, turns, 2), 0.5);
        Assert.Equal(32 * 8.2, SlotChoice.StepSeconds(slow, new int[32], 1), 0.5);
    }

    [Fact]
    public void The_choice_is_never_slower_than_turns_in_all_slots()
    {
        var random = new Random(5);
        for (var round = 0; round < 200; round++)
        {
            var slots = random.Next(1, 6);
            var times = Enumerable.Range(0, random.Next(1, 30)).Select(_ => new GroupTimes(
                random.Next(4) == 0, random.NextDouble() * 10, random.NextDouble() * (round % 2 == 0 ? 1 : 10))).ToList();
            var chosen = SlotChoice.Choose(times, slots);
            Assert.All(chosen, number => Assert.InRange(number, 0, slots - 1));
            int[] turns = [.. Enumerable.Range(0, times.Count).Select(i => i % slots)];
            Assert.True(SlotChoice.StepSeconds(times, chosen, slots) <= SlotChoice.StepSeconds(times, turns, slots) + 1e-9);
        }
    }
}
