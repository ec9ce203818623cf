using System.Runtime.InteropServices;

namespace TensorParallel.Worker.Native;

/// <summary>An array of zero-terminated UTF-8 strings in native memory.</summary>
internal sealed unsafe class NativeStrings : IDisposable
{
    /// <summary>Copies the strings.</summary>
    public NativeStrings(IEnumerable<string> strings)
    {
        var all = strings.ToArray();
        Count = all.Length;
        Pointers = (byte**)NativeMemory.AllocZeroed((nuint)Math.Max(1, Count), (nuint)sizeof(byte*));
        for (var i = 0; i < Count; i++)
        {
            Pointers[i] = (byte*)Marshal.StringToCoTaskMemUTF8(all[i]);
        }
    }

    /// <summary>Number of strings.</summary>
    public int Count { get; }

    /// <summary>The strings.</summary>
    public byte** Pointers { get; }

    public void Dispose()
    {
        for (var i = 0; i < Count; i++)
        {
            Marshal.FreeCoTaskMem((nint)Pointers[i]);
            Pointers[i] = null;
        }

        NativeMemory.Free(Pointers);
    }
}
