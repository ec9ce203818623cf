using System.Text;

namespace TensorParallel.Coordinator.Text;

/// <summary>
/// Ends streamed text at the first of several stop strings: the one that is complete first, the longest of those that
/// end together. Text that may still become a stop string is held back. With the stop "END", "I sEN" gives "I s", then
/// "T" gives "ENT", then "xEND." gives "x" and stops. Linear in the text whatever the stop strings (Aho and Corasick's
/// automaton). One stream, one thread at a time.
/// </summary>
internal sealed class StopMatcher
{
    private const int Root = 0;

    private readonly Dictionary<(int Node, char Character), int> _edges = [];
    private readonly List<Node> _nodes = [new Node(0)];
    private readonly StringBuilder _held = new();
    private int _state = Root;
    private string? _stop;

    /// <param name="stops">May be empty; none of them may be.</param>
    public StopMatcher(IReadOnlyList<string> stops)
    {
        foreach (var stop in stops)
        {
            ArgumentException.ThrowIfNullOrEmpty(stop, nameof(stops));
            Insert(stop);
        }

        LinkFailures();
    }

    /// <summary>
    /// Takes the next text; what it gives out may be shown. After a stop string matched, all that follows is dropped.
    /// </summary>
    public StopResult Append(string text)
    {
        if (_stop is not null)
        {
            return new StopResult(string.Empty, _stop);
        }

        foreach (var character in text)
        {
            _held.Append(character);
            _state = Next(_state, character);
            if (_nodes[_state].Match is { } stop)
            {
                _stop = stop;
                _held.Length -= stop.Length;
                return new StopResult(TakeAllBut(0), stop);
            }
        }

        return new StopResult(TakeAllBut(_nodes[_state].Depth), null);
    }

    /// <summary>What is held back when the text ends without a stop string.</summary>
    public string Flush()
    {
        _state = Root;
        return TakeAllBut(0);
    }

    private string TakeAllBut(int tail)
    {
        var count = _held.Length - tail;
        var text = _held.ToString(0, count);
        _held.Remove(0, count);
        return text;
    }

    private void Insert(string stop)
    {
        var node = Root;
        foreach (var character in stop)
        {
            if (!_edges.TryGetValue((node, character), out var next))
            {
                next = _nodes.Count;
                _nodes.Add(new Node(_nodes[node].Depth + 1));
                _edges.Add((node, character), next);
            }

            node = next;
        }

        _nodes[node].Match = stop;
    }

    // Each node's failure is the node of the longest proper suffix of its text; shallow nodes first.
    private void LinkFailures()
    {
        foreach (var ((parent, character), child) in _edges.OrderBy(edge => _nodes[edge.Value].Depth))
        {
            var node = _nodes[child];
            node.Failure = parent == Root ? Root : Next(_nodes[parent].Failure, character);
            node.Match ??= _nodes[node.Failure].Match;
        }
    }

    private int Next(int state, char character)
    {
        while (true)
        {
            if (_edges.TryGetValue((state, character), out var next))
            {
                return next;
            }

            if (state == Root)
            {
                return Root;
            }

            state = _nodes[state].Failure;
        }
    }

    private sealed class Node(int depth)
    {
        public int Depth { get; } = depth;

        public int Failure { get; set; }

        /// <summary>The longest stop string that ends here.</summary>
        public string? Match { get; set; }
    }
}
