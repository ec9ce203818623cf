using TensorParallel.Coordinator.Engine;
using TensorParallel.Protocol.Generation;

namespace TensorParallel.Coordinator.Tests.Engine;

/// <summary>
/// A scheduler before stages that take a given time for a step: what its order of steps is worth, without any worker. A stage computes
/// steps in order, one at a time, when the stage before has them, and holds a step's rows until the next stage is free to take them; the
/// first also needs the tokens that a step goes on with, which the last stage has drawn. A step is sent when few enough are unanswered.
/// </summary>
/// <param name="scheduler">What is looked at.</param>
/// <param name="stages">Number of stages.</param>
/// <param name="time">Time of a step of so many prompt rows and decoding sequences on one stage.</param>
internal sealed class SimulatedStages(Scheduler scheduler, int stages, Func<int, int, double> time)
{
    // From the end of a step until the next one that is sent for it reaches the first stage.
    private const double AnswerTime = 0.2;

    private readonly double[] _free = new double[stages];
    private readonly Queue<(ScheduledStep Step, double End)> _inFlight = [];
    private readonly Dictionary<Sequence, double> _drawn = [];
    private double _now;
    private double _lastEnd;

    /// <summary>A step began at the first stage before the last stage had computed the step before.</summary>
    public bool StagesOverlapped { get; private set; }

    /// <summary>Time at which each sequence got each of its tokens.</summary>
    public Dictionary<Sequence, List<double>> Tokens { get; } = [];

    /// <summary>Runs until nothing is left to compute; the time of the end.</summary>
    public double Run()
    {
        while (true)
        {
            while (_inFlight.Count <= scheduler.MicroBatches && scheduler.Next() is { } step)
            {
                _inFlight.Enqueue((step, Compute(step)));
            }

            if (!_inFlight.TryDequeue(out var answered))
            {
                return _now;
            }

            var (done, end) = answered;
            _now = Math.Max(_now, end + AnswerTime);
            var tokens = done.Batch.Sequences.Where(entry => entry.Sample).Select(entry => new SampledToken(entry.Slot, 7, null, []));
            scheduler.Complete(done, new StepResult(done.Batch.Step, [.. tokens], 1), 0);
        }
    }

    private double Compute(ScheduledStep step)
    {
        var (prompt, decoding, at) = (0, 0, _now);
        for (var i = 0; i < step.Sequences.Count; i++)
        {
            var entry = step.Batch.Sequences[i];
            prompt += entry.Tokens.Count;
            if (entry.Tokens.Count == 0)
            {
                decoding++;
                at = Math.Max(at, _drawn[step.Sequences[i]]);
            }
        }

        StagesOverlapped |= Math.Max(at, _free[0]) < _lastEnd;
        var duration = time(prompt, decoding);
        for (var stage = 0; stage < _free.Length; stage++)
        {
            at = Math.Max(at, _free[stage]);
            if (stage > 0)
            {
                _free[stage - 1] = at;
            }

            at += duration;
            _free[stage] = at;
        }

        for (var i = 0; i < step.Sequences.Count; i++)
        {
            if (step.Batch.Sequences[i].Sample)
            {
                _drawn[step.Sequences[i]] = at;
                Tokens.TryAdd(step.Sequences[i], []);
                Tokens[step.Sequences[i]].Add(at);
            }
        }

        _lastEnd = at;
        return at;
    }
}
