using System.Text.Json;

namespace TensorParallel.Protocol.Checkpoints;

/// <summary>
/// Turns one entry of a safetensors header, <c>{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}</c>, into a
/// <see cref="TensorInfo"/>, or says what is wrong with it. Stricter than the format's own reader: unknown keys fail.
/// </summary>
internal sealed class TensorEntryReader(string path, long dataStart, long fileBytes)
{
    /// <exception cref="CheckpointException">Anything but a sound entry whose bytes lie inside the file.</exception>
    public TensorInfo Read(string name, JsonElement entry)
    {
        if (entry.ValueKind != JsonValueKind.Object)
        {
            throw Wrong(name, "the header entry is not an object.");
        }

        JsonElement? dtypeValue = null, shapeValue = null, offsetsValue = null;
        foreach (var property in entry.EnumerateObject())
        {
            switch (property.Name)
            {
                case "dtype":
                    dtypeValue = property.Value;
                    break;
                case "shape":
                    shapeValue = property.Value;
                    break;
                case "data_offsets":
                    offsetsValue = property.Value;
                    break;
                default:
                    throw Wrong(name, $"the header entry has an unknown key {Quote.Of(property.Name)}.");
            }
        }

        var dtype = ReadDType(name, dtypeValue);
        var shape = ReadIntegers(name, "shape", shapeValue);
        var offsets = ReadIntegers(name, "data_offsets", offsetsValue);
        var bytes = CheckedByteCount(name, dtype, shape);
        CheckRange(name, dtype, shape, offsets, bytes);
        return new TensorInfo(name, dtype, shape, path, dataStart + offsets[0], bytes);
    }

    private DType ReadDType(string name, JsonElement? value)
    {
        if (value is not { ValueKind: JsonValueKind.String } text)
        {
            throw Wrong(name, "\"dtype\" is missing or not a string.");
        }

        return DTypes.TryParse(text.GetString()!, out var dtype)
            ? dtype
            : throw Wrong(name, $"{Quote.Of(text.GetString()!)} is not a safetensors dtype.");
    }

    private long[] ReadIntegers(string name, string key, JsonElement? value)
    {
        if (value is not { ValueKind: JsonValueKind.Array } array)
        {
            throw Wrong(name, $"\"{key}\" is missing or not an array.");
        }

        var integers = new long[array.GetArrayLength()];
        var i = 0;
        foreach (var item in array.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt64(out integers[i]) || integers[i] < 0)
            {
                throw Wrong(name, $"\"{key}\" holds {Quote.Of(item.GetRawText())}, which is not a whole number >= 0.");
            }

            i++;
        }

        return integers;
    }

    // [3, 5] of BF16: 15 elements, 240 bits, 30 bytes. [3] of F4: 12 bits, which no byte range can hold.
    private long CheckedByteCount(string name, DType dtype, long[] shape)
    {
        try
        {
            var bits = checked(shape.Aggregate(1L, (product, size) => checked(product * size)) * dtype.SizeInBits());
            return bits % 8 == 0
                ? bits / 8
                : throw Wrong(name, $"{dtype.SafetensorsName()} {Quote.Shape(shape)} does not fill whole bytes.");
        }
        catch (OverflowException)
        {
            throw Wrong(name, $"the shape {Quote.Of(Quote.Shape(shape))} has more elements than any file can hold.");
        }
    }

    private void CheckRange(string name, DType dtype, long[] shape, long[] offsets, long bytes)
    {
        if (offsets.Length != 2 || offsets[0] > offsets[1])
        {
            throw Wrong(name, $"\"data_offsets\" {Quote.Of(Quote.Shape(offsets))} is not a pair [begin, end].");
        }

        if (offsets[1] - offsets[0] != bytes)
        {
            throw Wrong(
                name,
                $"{dtype.SafetensorsName()} {Quote.Shape(shape)} takes {bytes} bytes but \"data_offsets\" " +
                $"{Quote.Shape(offsets)} spans {offsets[1] - offsets[0]}.");
        }

        if (offsets[1] > fileBytes - dataStart)
        {
            throw Wrong(
                name,
                $"its data ends {offsets[1] - (fileBytes - dataStart)} bytes after the end of the file " +
                $"({fileBytes} bytes): the file was cut short; fetch it again.");
        }
    }

    private CheckpointException Wrong(string name, string what) => new($"{path}: tensor {Quote.Of(name)}: {what}");
}
