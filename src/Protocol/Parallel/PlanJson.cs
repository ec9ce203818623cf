using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;

namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// <see cref="ExecutionPlan"/> as JSON, for people, clients and workers alike; <c>plan.schema.json</c> beside this file
/// describes it.
/// </summary>
public static class PlanJson
{
    private static readonly JsonWriterOptions s_compact =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly JsonWriterOptions s_indented = s_compact with { Indented = true, NewLine = "\n" };

    /// <summary>The whole plan.</summary>
    public static string Serialize(ExecutionPlan plan, bool indented = false)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, indented ? s_indented : s_compact))
        {
            Write(json, plan);
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <summary>Reads a plan back, strictly: no key missing, none unknown, every number inside its bounds.</summary>
    /// <exception cref="PlanException">Anything else; the sentence names the key.</exception>
    public static ExecutionPlan Deserialize(string json) => PlanJsonReader.Read(json);

    /// <summary>The whole plan as one object.</summary>
    public static void Write(Utf8JsonWriter json, ExecutionPlan plan)
    {
        json.WriteStartObject();
        WriteSummary(json, plan);
        json.WritePropertyName("limits");
        WriteLimits(json, plan.Limits);
        WriteStrings(json, "notes", plan.Notes);
        json.WriteStartArray("ranks");
        foreach (var rank in plan.Ranks)
        {
            WriteRank(json, rank);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>
    /// The properties that fit beside other things: mode, world_size, fallback_reasons, device_map with its budget and
    /// dtype; into the object that <paramref name="json"/> is in.
    /// </summary>
    public static void WriteSummary(Utf8JsonWriter json, ExecutionPlan plan)
    {
        json.WriteString("mode", PlanModeNames.NameOf(plan.Mode));
        json.WriteNumber("world_size", plan.WorldSize);
        WriteStrings(json, "fallback_reasons", plan.FallbackReasons);
        WriteMap(json, plan.DeviceMap, plan.DeviceMapBudget);
        json.WriteString("dtype", plan.DType.HuggingFaceName());
    }

    /// <summary>
    /// A device map that cannot be run, in the shape of a plan: it has no limits and no ranks, and says why.
    /// </summary>
    /// <param name="map">Module → place.</param>
    /// <param name="budget">Bytes by place.</param>
    /// <param name="dtype">Dtype of the weights.</param>
    /// <param name="notes">Remarks for people.</param>
    /// <param name="obstacle">Why it cannot be run.</param>
    public static string SerializeMap(
        IReadOnlyList<KeyValuePair<string, string>> map,
        IReadOnlyList<KeyValuePair<string, long?>> budget,
        DType dtype,
        IReadOnlyList<string> notes,
        string obstacle)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, s_compact))
        {
            json.WriteStartObject();
            json.WriteString("mode", PlanModeNames.NameOf(PlanMode.DeviceMap));
            json.WriteNumber("world_size", map.Select(entry => entry.Value).Where(IsNumber).Distinct().Count());
            WriteStrings(json, "fallback_reasons", []);
            WriteMap(json, map, budget);
            json.WriteString("dtype", dtype.HuggingFaceName());
            json.WriteNull("limits");
            WriteStrings(json, "notes", notes);
            WriteStrings(json, "ranks", []);
            json.WriteString("not_runnable", obstacle);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);

        static bool IsNumber(string place) => place.All(char.IsAsciiDigit);
    }

    private static void WriteMap(
        Utf8JsonWriter json,
        IReadOnlyList<KeyValuePair<string, string>>? map,
        IReadOnlyList<KeyValuePair<string, long?>>? budget)
    {
        WriteObject(json, "device_map", map, json.WriteString);
        WriteObject(json, "device_map_budget", budget, (place, bytes) =>
        {
            if (bytes is { } known)
            {
                json.WriteNumber(place, known);
            }
            else
            {
                json.WriteNull(place);
            }
        });
    }

    private static void WriteObject<T>(
        Utf8JsonWriter json, string name, IReadOnlyList<KeyValuePair<string, T>>? entries, Action<string, T> write)
    {
        if (entries is null)
        {
            json.WriteNull(name);
            return;
        }

        json.WriteStartObject(name);
        foreach (var (key, value) in entries)
        {
            write(key, value);
        }

        json.WriteEndObject();
    }

    private static void WriteLimits(Utf8JsonWriter json, StepLimits limits)
    {
        json.WriteStartObject();
        json.WriteNumber("max_step_tokens", limits.MaxStepTokens);
        json.WriteNumber("max_sequences", limits.MaxSequences);
        json.WriteNumber("max_context_tokens", limits.MaxContextTokens);
        json.WriteNumber("kv_block_tokens", limits.KvBlockTokens);
        json.WriteNumber("kv_blocks", limits.KvBlocks);
        json.WriteEndObject();
    }

    private static void WriteRank(Utf8JsonWriter json, RankPlan rank)
    {
        json.WriteStartObject();
        json.WriteNumber("rank", rank.Rank);
        json.WriteString("device", rank.Device);
        json.WriteNumber("weight_bytes", rank.WeightBytes);
        json.WriteNumber("kv_bytes", rank.KvBytes);
        json.WriteNumber("workspace_bytes", rank.WorkspaceBytes);
        json.WritePropertyName("layers");
        WriteRange(json, rank.Layers);
        json.WriteBoolean("has_embedding", rank.HasEmbedding);
        json.WriteBoolean("has_output_head", rank.HasOutputHead);
        json.WritePropertyName("query_heads");
        WriteRange(json, rank.QueryHeads);
        json.WritePropertyName("key_value_heads");
        WriteRange(json, rank.KeyValueHeads);
        WriteOffload(json, rank.Offload);
        json.WriteStartArray("tensors");
        foreach (var tensor in rank.Tensors)
        {
            WriteTensor(json, tensor);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteOffload(Utf8JsonWriter json, OffloadPlan? offload)
    {
        if (offload is null)
        {
            json.WriteNull("offload");
            return;
        }

        json.WriteStartObject("offload");
        json.WriteString("kind", OffloadKindNames.NameOf(offload.Kind));
        json.WriteNumber("blocks_per_group", offload.BlocksPerGroup);
        json.WriteNumber("slots", offload.Slots);
        json.WriteNumber("slot_bytes", offload.SlotBytes);
        json.WriteStartArray("modules");
        foreach (var module in offload.Modules)
        {
            json.WriteStartObject();
            json.WriteString("name", module.Name);
            json.WriteString("residency", ResidencyNames.NameOf(module.Residency));
            json.WriteNumber("bytes", module.Bytes);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteTensor(Utf8JsonWriter json, TensorSlice tensor)
    {
        json.WriteStartObject();
        json.WriteString("name", tensor.Name);
        json.WriteString("style", tensor.Style);
        json.WritePropertyName("dim");
        if (tensor.Dim is { } dim)
        {
            json.WriteNumberValue(dim);
        }
        else
        {
            json.WriteNullValue();
        }

        json.WriteStartArray("ranges");
        foreach (var range in tensor.Ranges)
        {
            WriteRange(json, range);
        }

        json.WriteEndArray();
        json.WriteNumber("bytes", tensor.Bytes);
        json.WriteEndObject();
    }

    private static void WriteRange(Utf8JsonWriter json, IndexRange range)
    {
        json.WriteStartArray();
        json.WriteNumberValue(range.Start);
        json.WriteNumberValue(range.End);
        json.WriteEndArray();
    }

    private static void WriteStrings(Utf8JsonWriter json, string name, IReadOnlyList<string> values)
    {
        json.WriteStartArray(name);
        foreach (var value in values)
        {
            json.WriteStringValue(value);
        }

        json.WriteEndArray();
    }
}
