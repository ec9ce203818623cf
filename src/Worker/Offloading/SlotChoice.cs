namespace TensorParallel.Worker.Offloading;

/// <summary>
/// Which group comes to which slot. Slots in flight are taken by turns and hide transfers behind computing; every other slot keeps one
/// group for good, which then need not come at all. Two in flight are mostly enough; more even out groups of different size.
/// Example: 32 groups of 8 ms transfer and 0.2 ms computing, 4 slots: with 4 in flight a step takes 32 · 8 = 256 ms, with 2 in flight and
/// 2 that stay 30 · 8 = 240 ms. Fewer than two are never in flight where there are two slots: steps of many rows compute for as long as
/// they wait, and would do one after the other.
/// </summary>
internal static class SlotChoice
{
    // The first passes fill the slots; after them every pass takes as long as the last.
    private const int Passes = 4;

    /// <summary>The number of each group's slot, for the shortest step; of equals, that with the most in flight.</summary>
    /// <param name="groups">The groups in the order of use.</param>
    /// <param name="slots">Number of slots.</param>
    public static IReadOnlyList<int> Choose(IReadOnlyList<GroupTimes> groups, int slots)
    {
        var best = Assign(groups, slots, slots);
        if (groups.Count <= slots)
        {
            return best;
        }

        var least = StepSeconds(groups, best, slots);
        for (var inFlight = slots - 1; inFlight >= 2; inFlight--)
        {
            var tried = Assign(groups, slots, inFlight);
            var seconds = StepSeconds(groups, tried, slots);
            if (seconds < least * 0.99)
            {
                (best, least) = (tried, seconds);
            }
        }

        return best;
    }

    /// <summary>Seconds of a step when steps follow one another without a gap.</summary>
    public static double StepSeconds(IReadOnlyList<GroupTimes> groups, IReadOnlyList<int> slotOf, int slots)
    {
        var turns = new List<int>[slots];
        var arrived = new double[slots];
        var free = new double[2]; // of the bus, and of the threads that read files
        for (var slot = 0; slot < slots; slot++)
        {
            turns[slot] = [.. Enumerable.Range(0, groups.Count).Where(group => slotOf[group] == slot)];
            if (turns[slot].Count > 0)
            {
                Come(slot, turns[slot][0], 0);
            }
        }

        var (now, began) = (0.0, 0.0);
        for (var pass = 0; pass < Passes; pass++)
        {
            began = now;
            for (var group = 0; group < groups.Count; group++)
            {
                var slot = slotOf[group];
                now = Math.Max(now, arrived[slot]) + groups[group].Compute;
                var turn = turns[slot];
                if (turn.Count > 1)
                {
                    Come(slot, turn[(turn.IndexOf(group) + 1) % turn.Count], now);
                }
            }
        }

        return now - began;

        void Come(int slot, int group, double from)
        {
            var way = groups[group].FromFiles ? 1 : 0;
            free[way] = Math.Max(free[way], from) + groups[group].Come;
            arrived[slot] = free[way];
        }
    }

    // Those that take longest to come stay.
    private static int[] Assign(IReadOnlyList<GroupTimes> groups, int slots, int inFlight)
    {
        var stay = Enumerable.Range(0, groups.Count).OrderByDescending(group => groups[group].Come).Take(slots - inFlight).ToHashSet();
        var numbers = new int[groups.Count];
        var (kept, turn) = (inFlight, 0);
        for (var group = 0; group < groups.Count; group++)
        {
            numbers[group] = stay.Contains(group) ? kept++ : turn++ % inFlight;
        }

        return numbers;
    }
}
