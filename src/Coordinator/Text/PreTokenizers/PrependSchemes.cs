namespace TensorParallel.Coordinator.Text.PreTokenizers;

/// <summary>Reads "prepend_scheme", and "add_prefix_space" of older files.</summary>
internal static class PrependSchemes
{
    public static PrependScheme Read(TokenizerJson json)
    {
        if (json.Optional("prepend_scheme") is not { } scheme)
        {
            return json.Flag("add_prefix_space", absent: true) ? PrependScheme.Always : PrependScheme.Never;
        }

        return scheme.AsString() switch
        {
            "never" => PrependScheme.Never,
            "first" => PrependScheme.First,
            "always" => PrependScheme.Always,
            var other => throw scheme.Wrong($"is '{other}', but must be never, first or always"),
        };
    }
}
