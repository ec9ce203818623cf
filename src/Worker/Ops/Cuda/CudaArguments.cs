using System.Runtime.InteropServices;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cuda;

/// <summary>The kernels' parameters: each struct has the layout of <c>Arguments</c> in the source named.</summary>
internal static class CudaArguments
{
    /// <summary>token_ids.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct TokenIds
    {
        internal nint Given;
        internal nint Slots;
        internal nint LastTokens;
        internal nint Ids;
        internal int Tokens;
    }

    /// <summary>embedding.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Embedding
    {
        internal nint Table;
        internal nint Ids;
        internal nint Output;
        internal long TableStride;
        internal long OutputStride;
        internal int FirstRow;
        internal int TableRows;
        internal int Columns;
        internal int Wide;
    }

    /// <summary>rms_norm.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct RmsNorm
    {
        internal nint X;
        internal nint Delta;
        internal nint Weight;
        internal nint Output;
        internal long XStride;
        internal long DeltaStride;
        internal long OutputStride;
        internal int Columns;
        internal int Wide;
        internal float Epsilon;
    }

    /// <summary>elementwise.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Elementwise
    {
        internal nint A;
        internal nint B;
        internal nint Output;
        internal long AStride;
        internal long BStride;
        internal long OutputStride;
        internal int Rows;
        internal int Columns;
        internal int Wide;
        internal int Kind;
    }

    /// <summary>gemv.cu and gemv_few.cu; gemv_any.cu has <c>wide</c> where this has rowsPerBlock, and not the last.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Gemv
    {
        internal nint X;
        internal nint Weight;
        internal nint Bias;
        internal nint Output;
        internal long XStride;
        internal long WeightStride;
        internal long OutputStride;
        internal int Tokens;
        internal int N;
        internal int K;
        internal int RowsPerBlockOrWide;
        internal int BiasType;
        internal int Activation;
    }

    /// <summary>gemm_stream.cu.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 320)] // a multiple of 64, as the tensor maps ask for
    internal struct GemmStream
    {
        internal CudaTensorMap Weight;
        internal CudaTensorMap X;
        internal nint Bias;
        internal nint Output;
        internal long OutputStride;
        internal int Tokens;
        internal int N;
        internal int K;
        internal int BiasType;
        internal int Activation;
        internal int Wide;
    }

    /// <summary>rope.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Rope
    {
        internal nint Fused;
        internal nint CosSin;
        internal nint Positions;
        internal nint RowSequences;
        internal nint BlockTables;
        internal nint Keys;
        internal nint Values;
        internal long FusedStride;
        internal long CosSinStride;
        internal long TableStride;
        internal int QueryHeads;
        internal int KvHeads;
        internal int HeadDim;
        internal int RotaryDim;
        internal int BlockTokens;
        internal int Wide;
    }

    /// <summary><c>Rows</c> of sampling.cuh.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct SamplingRows
    {
        internal nint Slots;
        internal nint Positions;
        internal nint Settings;
        internal nint Counts;
        internal long SettingsStride;
        internal long CountsStride;
    }

    /// <summary>sampling_parts.cuh.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct SamplingSummary
    {
        internal SamplingRows Rows;
        internal nint Logits;
        internal nint Summary;
        internal nint Parts;
        internal nint Chunks;
        internal nint RawChunks;
        internal nint Arrivals;
        internal long LogitsStride;
        internal long SummaryStride;
        internal int Columns;
        internal int FirstToken;
        internal int Wide;
        internal int Tile;
        internal int PartCount;
        internal int Candidates;
        internal int LogProbs;
        internal int Whole;
    }

    /// <summary>sampling_choose.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct SamplingChoice
    {
        internal SamplingRows Rows;
        internal nint Summaries;
        internal nint Outcomes;
        internal long Stride;
        internal ulong Longer;
        internal int Ranks;
        internal int Words;
        internal int Candidates;
        internal int Whole;
    }

    /// <summary>sampling_whole.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct SamplingWhole
    {
        internal SamplingRows Rows;
        internal nint All;
        internal nint Outcomes;
        internal int Row;
        internal int N;
        internal int Wide;
    }

    /// <summary>sampling_rows.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct SamplingItems
    {
        internal SamplingRows Rows;
        internal nint Logits;
        internal nint Tokens;
        internal nint Output;
        internal long LogitsStride;
        internal int Items;
        internal int Columns;
        internal int FirstToken;
        internal int RowOrGenerated;
    }

    /// <summary>attention.cuh.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Attention
    {
        internal nint Query;
        internal nint Output;
        internal nint Keys;
        internal nint Values;
        internal nint Positions;
        internal nint RowSequences;
        internal nint QueryStarts;
        internal nint BlockTables;
        internal nint Partials;
        internal nint Arrivals;
        internal nint CosSin;
        internal long QueryStride;
        internal long OutputStride;
        internal long TableStride;
        internal long CosSinStride;
        internal int QueryStart;
        internal int QueryHeads;
        internal int KvStart;
        internal int KvHeads;
        internal int GroupSize;
        internal int BlockTokens;
        internal int Window;
        internal int Splits;
        internal int Sequences;
        internal float Scale;
        internal float SoftCap;
        internal int Held;
        internal int Early;
        internal int Spread;
    }
}
