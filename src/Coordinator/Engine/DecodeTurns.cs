namespace TensorParallel.Coordinator.Engine;

/// <summary>
/// Which decoding sequences the next step goes on with. With m parts, every step takes an m-th of them, those that have waited longest:
/// sequences that were together stay so, new ones and ends are evened out within a round, and when a part's turn comes again its last
/// step is m steps back, so that its tokens are there when the first stage comes to it. Belongs to one scheduler.
/// </summary>
/// <param name="microBatches">Parts; 1: every step goes on with all.</param>
internal sealed class DecodeTurns(int microBatches)
{
    private readonly List<Sequence> _due = [];
    private long _turn;

    /// <summary>The sequences, in the order of <paramref name="running"/> where all are due; valid until the next call.</summary>
    /// <param name="running">All sequences with a slot.</param>
    /// <param name="nextStep">Number of the step.</param>
    /// <param name="prefilling">Prompt rows go on in the same or the next steps, which keep the stages busy.</param>
    public IReadOnlyList<Sequence> Next(List<Sequence> running, long nextStep, bool prefilling)
    {
        var decoding = 0;
        foreach (var sequence in running)
        {
            decoding += sequence.IsDecoding ? 1 : 0;
        }

        // One sequence alone is its own only part: its next step may be sent at once, as without parts.
        var parts = prefilling ? microBatches : Math.Min(microBatches, decoding);
        _due.Clear();
        foreach (var sequence in running)
        {
            if (sequence.IsDecoding && IsDue(sequence, nextStep, parts))
            {
                _due.Add(sequence);
            }
        }

        if (_due.Count == 0)
        {
            return _due;
        }

        // 9 sequences in 4 parts: 2, 2, 2, 3 and again 2.
        var turn = _turn++ % parts;
        var most = (int)(((turn + 1) * decoding / parts) - (turn * decoding / parts));
        if (_due.Count > most)
        {
            // Steps that are sent earlier have lower numbers; slots only make the order a certain one.
            _due.Sort((a, b) => (a.LastStep, a.Slot).CompareTo((b.LastStep, b.Slot)));
            _due.RemoveRange(most, _due.Count - most);
        }

        return _due;
    }

    // One step ahead of its tokens and no further: what is computed after an end is lost.
    private static bool IsDue(Sequence sequence, long nextStep, int parts) =>
        sequence.StepsInFlight == 0 || (sequence.StepsInFlight == 1 && sequence.LastStep + parts <= nextStep);
}
