namespace TensorParallel.Protocol.Parallel;

/// <summary>Layer numbers as a short text.</summary>
public static class LayerList
{
    /// <summary>All layers are <c>*</c>; otherwise one number, or runs in braces: <c>{0, 2–5}</c>.</summary>
    /// <param name="layers">Rising numbers, at least one.</param>
    /// <param name="total">Layers that there are.</param>
    public static string Text(IReadOnlyList<int> layers, int total)
    {
        if (layers.Count == total)
        {
            return "*";
        }

        var runs = new List<string>();
        for (var i = 0; i < layers.Count;)
        {
            var begin = i++;
            while (i < layers.Count && layers[i] == layers[i - 1] + 1)
            {
                i++;
            }

            runs.Add(i - begin == 1 ? $"{layers[begin]}" : $"{layers[begin]}–{layers[i - 1]}");
        }

        return layers.Count == 1 ? runs[0] : $"{{{string.Join(", ", runs)}}}";
    }
}
