using System.Runtime.InteropServices;

namespace TensorParallel.Worker.Collectives.PeerMemory;

/// <summary>The kernels' parameters: each struct has the layout of the one of the same name, or <c>Arguments</c>, in the source named.</summary>
internal static unsafe class PeerArguments
{
    /// <summary>Most ranks that the structs have room for.</summary>
    internal const int MostRanks = 8;

    /// <summary>peer.cuh.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Group
    {
        internal fixed ulong Boxes[MostRanks];
        internal nint State;
        internal nint Report;
        internal long HalfBytes;
        internal long Timeout;
        internal long SlotBytes;
        internal int Rank;
        internal int Operation;
        internal int TwoShot;
    }

    /// <summary>peer_sum.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Sum
    {
        internal Group Group;
        internal nint X;
        internal long Stride;
        internal int Rows;
        internal int Columns;
        internal int RowItems;
        internal int Aligned;
    }

    /// <summary>peer_sum_norm.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct SumNorm
    {
        internal Group Group;
        internal nint Delta;
        internal nint Residual;
        internal nint Weight;
        internal nint Output;
        internal long DeltaStride;
        internal long ResidualStride;
        internal long OutputStride;
        internal int Rows;
        internal int Columns;
        internal int RowItems;
        internal int Parts;
        internal float Epsilon;
    }

    /// <summary>peer_rows.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Rows
    {
        internal Group Group;
        internal nint Delta;
        internal nint Residual;
        internal nint Weight;
        internal nint Output;
        internal long DeltaStride;
        internal long ResidualStride;
        internal long OutputStride;
        internal long Flags;
        internal long Parts;
        internal long Results;
        internal int RowCount;
        internal int Columns;
        internal float Epsilon;
    }

    /// <summary>peer_post.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Post
    {
        internal Group Group;
        internal ulong Slot;
        internal nint Words;
        internal uint Number;
        internal int Count;
        internal int Peer;
        internal int Takes;
    }

    /// <summary>peer_gather.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Gather
    {
        internal Group Group;
        internal nint Part;
        internal nint Whole;
        internal long PartStride;
        internal long WholeStride;
        internal fixed int Widths[MostRanks];
        internal int Rows;
        internal int Element;
        internal int Packets;
    }
}
