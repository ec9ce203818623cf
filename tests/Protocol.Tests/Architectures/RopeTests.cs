using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Architectures.Rope;
using TensorParallel.Protocol.Checkpoints;
using Xunit;

namespace TensorParallel.Protocol.Tests.Architectures;

/// <summary>
/// Expected frequencies were computed in double precision from the definitions, by a separate program.
/// </summary>
public sealed class RopeTests
{
    private const double Tolerance = 1e-6;

    [Fact]
    public void Default_HasPowersOfTheta() => AssertFrequencies(
        Rope("""{ "rope_theta": 10000.0 }""", headDim: 64),
        "default",
        (0, 1),
        (1, 0.749894209),
        (15, 0.0133352143),
        (31, 0.000133352143));

    [Theory]
    [InlineData("""{ "rope_parameters": { "rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0 } }""")]
    [InlineData("""{ "rope_theta": 10000.0, "rope_scaling": { "rope_type": "linear", "factor": 4.0 } }""")]
    [InlineData("""{ "rope_scaling": { "type": "linear", "factor": 4 } }""")]
    public void Linear_IsReadInEverySpelling(string json) => AssertFrequencies(
        Rope(json, headDim: 64), "linear", (0, 0.25), (1, 0.18747355225), (31, 0.00003333803575));

    [Fact]
    public void Llama3_KeepsShortWaves_StretchesLongOnes_BlendsBetween() => AssertFrequencies(
        Rope("""
            { "rope_parameters": { "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
              "high_freq_factor": 4.0, "original_max_position_embeddings": 8192 } }
            """),
        "llama3",
        (0, 1),
        (20, 0.0165604401),
        (28, 0.00321144599),
        (29, 0.00216657076),
        (32, 0.000524846161),
        (34, 0.000178507813),
        (35, 9.55621235e-05),
        (36, 7.78465527e-05),
        (63, 3.06892599e-07));

    [Fact]
    public void Llama3_WithAShortOriginalContext() => AssertFrequencies(
        Rope(
            """
            { "rope_theta": 500000.0, "rope_scaling": { "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
              "high_freq_factor": 4.0, "original_max_position_embeddings": 64 } }
            """,
            headDim: 64),
        "llama3",
        (1, 0.663601238),
        (3, 0.205000948),
        (4, 0.0794030092),
        (5, 0.0277513879),
        (6, 0.0106746375),
        (31, 3.76732269e-07));

    [Fact]
    public void Yarn_RampsBetweenKeptAndDivided()
    {
        var rope = Rope("""
            { "rope_theta": 1000000.0, "rope_scaling": { "type": "yarn", "factor": 4.0,
              "original_max_position_embeddings": 32768 } }
            """);

        AssertFrequencies(
            rope, "yarn", (0, 1), (20, 0.0133352143), (23, 0.00697830585), (24, 0.00537532149), (30, 0.00106436098),
            (35, 0.000246258407), (39, 6.49039432e-05), (40, 4.44569853e-05), (63, 3.1023444e-07));
        Assert.Equal(1.138629436, rope.AttentionFactor, 1e-6);
    }

    [Fact]
    public void Yarn_TakesItsOwnParameters()
    {
        var rope = Rope(
            """
            { "rope_parameters": { "rope_type": "yarn", "factor": 2.5, "beta_fast": 16, "beta_slow": 2,
              "truncate": false, "attention_factor": 0.5, "original_max_position_embeddings": 2048 } }
            """,
            headDim: 64);

        AssertFrequencies(
            rope, "yarn", (5, 0.237137371), (8, 0.1), (12, 0.0276105529), (20, 0.00126491106), (31, 5.33408573e-05));
        Assert.Equal(0.5f, rope.AttentionFactor);
    }

    [Fact]
    public void Yarn_DividesTheTwoScales()
    {
        var rope = Rope("""
            { "rope_scaling": { "type": "yarn", "factor": 40, "mscale": 0.707, "mscale_all_dim": 1.0,
              "original_max_position_embeddings": 4096 } }
            """);

        Assert.Equal(0.9210423553, rope.AttentionFactor, 1e-6);
    }

    [Fact]
    public void Dynamic_IsTheDefaultWithinTheModelsContext() => AssertFrequencies(
        Rope("""{ "rope_scaling": { "type": "dynamic", "factor": 2.0 } }""", headDim: 64),
        "dynamic",
        (0, 1),
        (1, 0.749894209));

    [Theory]
    [InlineData(
        """{ "rope_scaling": { "type": "dynamic", "factor": 2.0, "original_max_position_embeddings": 1024 } }""",
        "c.json: rope_type \"dynamic\": frequencies that depend on the current length are not supported; set " +
        "max_position_embeddings 2048 to original_max_position_embeddings 1024 to run without them.")]
    [InlineData(
        """{ "rope_scaling": { "type": "longrope" } }""",
        "c.json: rope_type \"longrope\": not known here; known are: default, linear, dynamic, yarn, llama3.")]
    [InlineData(
        """{ "rope_parameters": { "rope_type": "default", "partial_rotary_factor": 0.5 } }""",
        "c.json: rope_type \"default\": partial_rotary_factor 0.5 is not supported: all dimensions of a head rotate " +
        "here.")]
    [InlineData("""{ "rope_scaling": { "type": "linear" } }""", "c.json: \"rope_scaling.factor\" is missing.")]
    [InlineData("""{ "rope_theta": 0 }""", "c.json: \"rope_theta\" is 0, but it must be above 0.")]
    [InlineData(
        """{ "rope_theta": 1e308 , "rope_scaling": { "type": "linear", "factor": 1e30 } }""",
        "c.json: rope_type \"linear\": its parameters lead to frequencies that are not finite and above 0.")]
    [InlineData(
        """{ "rope_scaling": { "type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4 } }""",
        "c.json: rope_type \"llama3\": high_freq_factor 4 must be above low_freq_factor 4.")]
    public void WhatCannotBeComputed_IsOneSentence(string json, string expected) =>
        Assert.Equal(expected, Assert.Throws<CheckpointException>(() => Rope(json)).Message);

    [Fact]
    public void EveryTypeOfTheAssembly_IsInTheCatalog()
    {
        var types = typeof(IRopeType).Assembly.GetTypes()
            .Where(type => type.IsClass && type.IsAssignableTo(typeof(IRopeType)));

        Assert.Equal(
            types.OrderBy(type => type.Name, StringComparer.Ordinal),
            RopeTypeCatalog.All.Select(type => type.GetType()).OrderBy(type => type.Name, StringComparer.Ordinal));
    }

    private static RopeSpec Rope(string json, int headDim = 128) =>
        RopeTypeCatalog.Read(ModelConfig.Parse(json, "c.json"), headDim, maxPositionEmbeddings: 2048);

    private static void AssertFrequencies(RopeSpec rope, string type, params (int Pair, double Value)[] expected)
    {
        Assert.Equal(type, rope.Type);
        Assert.Equal(rope.RotaryDim / 2, rope.InverseFrequencies.Count);
        Assert.All(expected, e => Assert.Equal(e.Value, rope.InverseFrequencies[e.Pair], e.Value * Tolerance));
    }
}
