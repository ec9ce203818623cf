using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Quantization;

namespace TensorParallel.Worker.Measuring;

/// <summary>
/// Times of operations by kind, added up over steps with the same number of rows. Products are told apart by their weight and get the
/// checkpoint's names (<c>q_proj+k_proj+v_proj</c>). Used by the thread that issues operations; costs two points an operation, and keeps
/// kernels from overlapping: the sum of a step is above its time without measuring.
/// </summary>
internal sealed class OperationTimes(IMeasuringOps ops) : IOperationTimes, IDisposable
{
    /// <summary>The whole step, from its first operation on.</summary>
    public const string StepName = "step";

    /// <summary>What of a step no timed operation took: sampling, copies, waits for the host.</summary>
    public const string RestName = "rest";

    // Longer than the host needs to issue the operations of a large model's step.
    private static readonly TimeSpan s_hold = TimeSpan.FromMilliseconds(20);

    private readonly IDeviceMarks _marks = ops.CreateMarks();
    private readonly List<(string? Kind, Tensor Weight, int From, int To)> _calls = [];
    private readonly List<(string Kind, double Microseconds)> _notes = [];
    private readonly Dictionary<(int Rows, string Kind), (int Count, double Microseconds)> _sums = [];
    private readonly Dictionary<int, int> _steps = [];
    private IReadOnlyList<WeightTarget> _weights = [];
    private bool _inStep;
    private int _stepStart;

    /// <summary>Tells which weight lies where; before the first step.</summary>
    public void Name(IReadOnlyList<WeightTarget> weights) => _weights = weights;

    /// <summary>A step begins.</summary>
    public void BeginStep()
    {
        _marks.Clear();
        _calls.Clear();
        _notes.Clear();
        _inStep = true;
        _stepStart = -1;
    }

    /// <summary>The step has been issued: waits for it and adds its times up.</summary>
    /// <param name="rows">Its rows.</param>
    public void EndStep(int rows)
    {
        _inStep = false;
        if (_stepStart < 0)
        {
            return; // a rank with nothing to compute
        }

        var all = _marks.Microseconds(_stepStart, _marks.Mark());
        var timed = 0.0;
        foreach (var (kind, weight, from, to) in _calls)
        {
            var time = _marks.Microseconds(from, to);
            Add(rows, kind ?? NameOf(weight), time);
            timed += time;
        }

        _notes.ForEach(note => Add(rows, note.Kind, note.Microseconds));
        Add(rows, RestName, Math.Max(0, all - timed));
        Add(rows, StepName, all);
        _steps[rows] = _steps.GetValueOrDefault(rows) + 1;
    }

    /// <summary>Times what is issued until the result is disposed.</summary>
    public Timing Time(string kind) => new(this, kind, default);

    IDisposable IOperationTimes.Time(string kind) => Time(kind);

    public void Note(string kind, double microseconds)
    {
        if (_inStep)
        {
            _notes.Add((kind, microseconds));
        }
    }

    /// <summary>The same for a product with a weight, which is told by its place in its buffer.</summary>
    public Timing TimeProduct(Tensor weight) => new(this, null, weight);

    /// <summary>All sums so far, by rows; then starts anew.</summary>
    public IReadOnlyList<Figure> Take()
    {
        IReadOnlyList<Figure> figures =
        [
            .. _sums.Select(sum => new Figure(
                sum.Key.Kind, sum.Value.Microseconds, Rows: sum.Key.Rows, Count: sum.Value.Count, Steps: _steps[sum.Key.Rows])),
        ];
        _sums.Clear();
        _steps.Clear();
        return figures;
    }

    public void Dispose() => _marks.Dispose();

    // The step's inputs are on their way by the time of its first operation: a copy issued after the hold would wait for it.
    private int Start()
    {
        if (_inStep && _stepStart < 0)
        {
            _marks.Hold(s_hold);
            _stepStart = _marks.Mark();
        }

        return _inStep ? _marks.Mark() : -1;
    }

    private void Add(int rows, string kind, double microseconds)
    {
        var (count, sum) = _sums.GetValueOrDefault((rows, kind));
        _sums[(rows, kind)] = (count + 1, sum + microseconds);
    }

    // "model.layers.0.self_attn.q_proj.weight" is q_proj. Of a stacked weight the parts lie one after the other in one buffer.
    private string NameOf(Tensor weight)
    {
        var first = _weights.FirstOrDefault(
            target => target.Operand.Buffer == weight.Buffer && target.Operand.OffsetBytes == weight.OffsetBytes);
        return first is null
            ? "product"
            : string.Join('+', _weights
                .Where(target => target.Operand.Buffer == first.Operand.Buffer)
                .Select(target => target.Slice.Name.Split('.') is [.., var module, _] ? module : target.Slice.Name));
    }

    /// <summary>One operation being timed.</summary>
    internal readonly struct Timing : IDisposable
    {
        private readonly OperationTimes _times;
        private readonly string? _kind;
        private readonly Tensor _weight;
        private readonly int _from;

        internal Timing(OperationTimes times, string? kind, Tensor weight)
        {
            _times = times;
            _kind = kind;
            _weight = weight;
            _from = times.Start();
        }

        /// <summary>Ends it.</summary>
        public void Dispose()
        {
            if (_from >= 0)
            {
                _times._calls.Add((_kind, _weight, _from, _times._marks.Mark()));
            }
        }
    }
}
