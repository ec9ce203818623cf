namespace TensorParallel.Coordinator.Engine;

/// <summary>
/// Reference counts of the KV blocks 0 … <see cref="Count"/> − 1, which exist on every rank. A block is free while
/// nobody holds it. Used by the engine loop only.
/// </summary>
internal sealed class BlockAllocator
{
    private readonly int[] _references;
    private readonly Stack<int> _free;

    /// <param name="count">Blocks that exist.</param>
    public BlockAllocator(int count)
    {
        _references = new int[count];
        _free = new Stack<int>(Enumerable.Range(0, count).Reverse());
    }

    /// <summary>Blocks that exist.</summary>
    public int Count => _references.Length;

    /// <summary>Blocks nobody holds.</summary>
    public int FreeCount => _free.Count;

    /// <summary>
    /// Takes a free block with one reference. Throws when there is none: admission has to prevent that.
    /// </summary>
    public int Allocate()
    {
        if (!_free.TryPop(out var block))
        {
            throw new InvalidOperationException(
                $"All {Count} KV blocks are in use: more were allocated than admission promised.");
        }

        _references[block] = 1;
        return block;
    }

    /// <summary>One more holder of a block somebody holds already.</summary>
    public void Share(int block)
    {
        CheckHeld(block, "shared");
        _references[block]++;
    }

    /// <summary>One holder less; the last one frees the block. Throws when nobody holds it.</summary>
    public void Release(int block)
    {
        CheckHeld(block, "released");
        if (--_references[block] == 0)
        {
            _free.Push(block);
        }
    }

    private void CheckHeld(int block, string what)
    {
        if ((uint)block >= (uint)Count || _references[block] == 0)
        {
            throw new InvalidOperationException($"KV block {block} of {Count} is {what}, but nobody holds it.");
        }
    }
}
