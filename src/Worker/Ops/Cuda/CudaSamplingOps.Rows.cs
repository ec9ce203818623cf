using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cuda;

/// <content>Summaries, and the small operations.</content>
internal sealed partial class CudaSamplingOps
{
    public void Summarise(Tensor logits, int firstToken, SamplingRows rows, SummaryLayout layout, Tensor summary)
    {
        CheckLayout(layout);
        CudaOperand.Check(_device, logits, DType.F32, rows.Count, logits.Columns);
        CudaOperand.Check(_device, summary, DType.I32, rows.Count, layout.Words);
        var rowArguments = RowArguments(rows, logits.Columns);
        if (rows.Count == 0)
        {
            return;
        }

        var (parts, tile) = Cut(rows.Count, logits.Columns);
        var partBytes = (long)rows.Count * parts * PartBytes;
        var chunkBytes = (long)rows.Count * CeilDiv(logits.Columns, ChunkTokens) * sizeof(ulong);
        _scratch = Grown(_scratch, partBytes + (2 * chunkBytes));
        _arrivals = Grown(_arrivals, (long)rows.Count * sizeof(uint));
        var arguments = new CudaArguments.SamplingSummary
        {
            Rows = rowArguments,
            Logits = logits.Address,
            Summary = summary.Address,
            Parts = _scratch.Address,
            Chunks = _scratch.Address + (nint)partBytes,
            RawChunks = _scratch.Address + (nint)(partBytes + chunkBytes),
            Arrivals = _arrivals.Address,
            LogitsStride = logits.RowStride,
            SummaryStride = summary.RowStride,
            Columns = logits.Columns,
            FirstToken = firstToken,
            Wide = IsWide(logits),
            Tile = tile,
            PartCount = parts,
            Candidates = layout.Candidates,
            LogProbs = layout.LogProbs,
            Whole = layout.IsWhole ? 1 : 0,
        };

        // One candidate: no row has filters to decide, and nobody asks for a list.
        var joins = layout is { Candidates: 1, LogProbs: 0 };
        var scan = _device.Modules.Get(CudaKernels.SamplingScan(joins));
        _device.Launch(scan, new CudaGrid(parts, rows.Count, 1, ScanThreads), arguments);
        if (!joins)
        {
            var join = _device.Modules.Get(CudaKernels.SamplingJoin());
            _device.Launch(join, new CudaGrid(rows.Count, 1, 1, JoinThreads), arguments);
        }
    }

    public void CountTokens(Tensor counts, Tensor ids, int firstToken, bool generated)
    {
        CudaOperand.Check(_device, counts, DType.I32, 1, counts.Columns);
        CudaOperand.Check(_device, ids, DType.I32, 1, ids.Columns);
        LaunchItems("count_tokens", ids.Columns, new CudaArguments.SamplingItems
        {
            Tokens = ids.Address,
            Output = counts.Address,
            Items = ids.Columns,
            Columns = counts.Columns,
            FirstToken = firstToken,
            RowOrGenerated = generated ? 1 : 0,
        });
    }

    public void Adjust(Tensor logits, int firstToken, SamplingRows rows, int row, Tensor output)
    {
        CudaOperand.Check(_device, logits, DType.F32, rows.Count, logits.Columns);
        CudaOperand.Check(_device, output, DType.F32, 1, logits.Columns);
        LaunchItems("adjust_logits", CeilDiv(logits.Columns, Quad), new CudaArguments.SamplingItems
        {
            Rows = RowArguments(rows, logits.Columns),
            Logits = logits.Address,
            Output = output.Address,
            LogitsStride = logits.RowStride,
            Columns = logits.Columns,
            FirstToken = firstToken,
            RowOrGenerated = CheckedRow(rows, row),
        });
    }

    public void PickLogits(Tensor logits, int firstToken, Tensor tokens, Tensor output)
    {
        CudaOperand.Check(_device, logits, DType.F32, logits.Rows, logits.Columns);
        CudaOperand.Check(_device, tokens, DType.I32, 1, logits.Rows);
        CudaOperand.Check(_device, output, DType.F32, 1, logits.Rows);
        LaunchItems("pick_logits", logits.Rows, new CudaArguments.SamplingItems
        {
            Logits = logits.Address,
            Tokens = tokens.Address,
            Output = output.Address,
            LogitsStride = logits.RowStride,
            Items = logits.Rows,
            Columns = logits.Columns,
            FirstToken = firstToken,
        });
    }

    public void Commit(Tensor tokens, int firstToken, SamplingRows rows, Tensor lastTokens)
    {
        CudaOperand.Check(_device, tokens, DType.I32, 1, rows.Count);
        CudaOperand.Check(_device, lastTokens, DType.I32, 1, rows.Settings.Rows);
        LaunchItems("commit_tokens", rows.Count, new CudaArguments.SamplingItems
        {
            Rows = RowArguments(rows, rows.Counts.Columns),
            Tokens = tokens.Address,
            Output = lastTokens.Address,
            Items = rows.Count,
            Columns = rows.Counts.Columns,
            FirstToken = firstToken,
        });
    }

    private void LaunchItems(string entry, int threads, in CudaArguments.SamplingItems arguments)
    {
        if (threads > 0)
        {
            var kernel = _device.Modules.Get(CudaKernels.SamplingRows(entry));
            _device.Launch(kernel, new CudaGrid(CeilDiv(threads, RowThreads), 1, 1, RowThreads), arguments);
        }
    }

    /// <summary>
    /// Parts of a row and their tokens: up to two blocks a multiprocessor over all rows, which run at once. 128,256 tokens on 132
    /// multiprocessors: one row 126 parts of 1,024; 16 rows 16 parts of 8,192; 64 rows 4 of 32,768.
    /// </summary>
    private (int Parts, int Tile) Cut(int rows, int columns)
    {
        var steps = Math.Max(1, CeilDiv(columns, ScanThreads * Quad));
        var most = Math.Clamp(2 * _device.Multiprocessors / rows, 1, steps);
        var tile = CeilDiv(steps, most) * ScanThreads * Quad;
        return (Math.Max(1, CeilDiv(columns, tile)), tile);
    }
}
