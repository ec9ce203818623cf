using System.Text;
using System.Text.Json;
using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Protocol.Parallel;

/// <summary>From the text of a plan to its rules.</summary>
internal static class TpPlanReader
{
    // Each rule is tried on each parameter; real plans have about ten.
    private const int MaxRules = 10_000;

    public static TpPlan Read(string text)
    {
        var trimmed = text.Trim();
        var isInline = trimmed.StartsWith('{');
        if (!isInline && !File.Exists(trimmed))
        {
            throw new PlanException(
                $"The tp plan {Quote.Of(text)} is neither \"auto\", nor an inline JSON object, nor a file that " +
                "exists.");
        }

        var source = isInline ? "inline" : Path.GetFullPath(trimmed);
        try
        {
            var json = isInline
                ? JsonFile.ParseObject(Encoding.UTF8.GetBytes(trimmed), "The inline tp plan")
                : JsonFile.ReadObject(source);
            return FromJson(source, json);
        }
        catch (CheckpointException e)
        {
            throw new PlanException(e.Message);
        }
    }

    public static TpPlan FromEntries(string source, IEnumerable<KeyValuePair<string, string>> entries)
    {
        var problems = new List<string>();
        var rules = new List<TpRule>();
        var known = new Dictionary<string, string>();
        foreach (var (text, styleName) in entries)
        {
            if (TpKey.TryParse(text, out var key) is { } problem)
            {
                problems.Add($"{Quote.Of(text)}: {problem}");
            }
            else if (!known.TryAdd(key!.Normalized, text))
            {
                problems.Add($"{Quote.Of(text)} and {Quote.Of(known[key.Normalized])} name the same; keep one of " +
                    "them.");
            }
            else
            {
                var style = TpStyleCatalog.Find(styleName);
                rules.Add(new TpRule(key, style));
                if (style is null)
                {
                    problems.Add(UnknownStyle(text, styleName));
                }
            }
        }

        return new TpPlan(source, rules, problems);
    }

    private static TpPlan FromJson(string source, JsonElement json)
    {
        var entries = new List<KeyValuePair<string, string>>();
        var problems = new List<string>();
        foreach (var property in json.EnumerateObject())
        {
            if (property.Value.ValueKind == JsonValueKind.String)
            {
                entries.Add(new(property.Name, property.Value.GetString()!));
            }
            else
            {
                problems.Add(
                    $"{Quote.Of(property.Name)}: {Quote.Of(property.Value.GetRawText())} is not a style name in " +
                    $"quotes; known are: {string.Join(", ", TpStyleCatalog.Names)}.");
            }
        }

        if (entries.Count > MaxRules)
        {
            throw new PlanException(
                $"The tp plan has {entries.Count} keys, more than the {MaxRules} allowed; use * for layers.");
        }

        var plan = FromEntries(source, entries);
        return new TpPlan(source, plan.Rules, [.. problems, .. plan.Problems]);
    }

    private static string UnknownStyle(string key, string styleName)
    {
        var nearest = NearestName.Of(styleName, TpStyleCatalog.Names);
        var hint = nearest is null ? "" : $" Did you mean {nearest}?";
        return $"{Quote.Of(key)}: {Quote.Of(styleName)} is no style; known are: " +
            $"{string.Join(", ", TpStyleCatalog.Names)}.{hint}";
    }
}
