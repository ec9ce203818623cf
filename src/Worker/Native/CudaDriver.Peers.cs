using System.Runtime.InteropServices;

namespace TensorParallel.Worker.Native;

/// <content>What GPUs need to reach each other's memory, and memory apart from its addresses.</content>
internal static unsafe partial class CudaDriver
{
    internal const uint CU_MEMHOSTALLOC_DEVICEMAP = 2;
    internal const int CU_MEM_ALLOCATION_TYPE_PINNED = 1;
    internal const int CU_MEM_LOCATION_TYPE_DEVICE = 1;
    internal const int CU_MEM_ACCESS_FLAGS_PROT_READWRITE = 3;
    internal const int CU_MEM_ALLOC_GRANULARITY_RECOMMENDED = 1;

    [LibraryImport(Library, EntryPoint = "cuDeviceGetUuid_v2")]
    internal static partial int cuDeviceGetUuid(CUuuid* uuid, int device);

    [LibraryImport(Library)]
    internal static partial int cuDeviceCanAccessPeer(int* can, int device, int peer);

    [LibraryImport(Library)]
    internal static partial int cuStreamQuery(nint stream);

    [LibraryImport(Library)]
    internal static partial int cuMemGetAllocationGranularity(nuint* granularity, CUmemAllocationProp* properties, int option);

    [LibraryImport(Library)]
    internal static partial int cuMemCreate(ulong* handle, nuint bytes, CUmemAllocationProp* properties, ulong flags);

    [LibraryImport(Library)]
    internal static partial int cuMemRelease(ulong handle);

    [LibraryImport(Library)]
    internal static partial int cuMemAddressReserve(ulong* address, nuint bytes, nuint alignment, ulong wanted, ulong flags);

    [LibraryImport(Library)]
    internal static partial int cuMemAddressFree(ulong address, nuint bytes);

    [LibraryImport(Library)]
    internal static partial int cuMemMap(ulong address, nuint bytes, nuint offset, ulong handle, ulong flags);

    [LibraryImport(Library)]
    internal static partial int cuMemUnmap(ulong address, nuint bytes);

    [LibraryImport(Library)]
    internal static partial int cuMemSetAccess(ulong address, nuint bytes, CUmemAccessDesc* access, nuint count);

    /// <summary>CUuuid: 16 bytes.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 16)]
    internal struct CUuuid
    {
        internal fixed byte bytes[16];
    }

    /// <summary>CUmemLocation.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct CUmemLocation
    {
        internal int type;
        internal int id;
    }

    /// <summary>CUmemAllocationProp; what is not named is zero.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 32)]
    internal struct CUmemAllocationProp
    {
        internal int type;
        internal int requestedHandleTypes;
        internal CUmemLocation location;
    }

    /// <summary>CUmemAccessDesc.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct CUmemAccessDesc
    {
        internal CUmemLocation location;
        internal int flags;
    }
}
