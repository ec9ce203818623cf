using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Planning.DeviceMaps;

public sealed class MaxMemoryTests
{
    [Fact]
    public void PlacesComeInAcceleratesOrder() => Assert.Equal(
        [new("0", 1 << 20), new("2", 1), new("10", 0), new("cpu", 64L << 30), new("disk", 5_000_000_000)],
        MaxMemory.Parse(" cpu = 64GiB, 10=0B,disk=5GB,2=1,0=1 MiB"));

    [Theory]
    [InlineData("0=1.5GiB", 1_610_612_736)]
    [InlineData("0=22GiB", 23_622_320_128)]
    [InlineData("0=10KB", 10_000)]
    [InlineData("0=2TiB", 2L << 40)]
    [InlineData("00=7", 7)]
    public void Sizes_HaveUnits(string text, long bytes) => Assert.Equal([new("0", bytes)], MaxMemory.Parse(text));

    [Theory]
    [InlineData("", "\"\" is not DEVICE=SIZE")]
    [InlineData("0", "\"0\" is not DEVICE=SIZE")]
    [InlineData("0=", "\"0=\" is not DEVICE=SIZE")]
    [InlineData("0=10GiB,", "\"\" is not DEVICE=SIZE")]
    [InlineData("gpu=1GiB", "\"gpu\" is no device")]
    [InlineData("-1=1GiB", "\"-1\" is no device")]
    [InlineData("99999999999=1GiB", "is no device")]
    [InlineData("0=10Gb", "\"10Gb\" is no size")]
    [InlineData("0=-1GiB", "\"-1GiB\" is no size")]
    [InlineData("0=1e30GiB", "is no size")]
    [InlineData("0=999999999TiB", "is no size")]
    [InlineData("0=GiB", "\"GiB\" is no size")]
    [InlineData("0=1GiB,00=2GiB", "names 00 twice")]
    public void WhatCannotBeRead_IsQuoted(string text, string expected) =>
        Assert.Contains(expected, Assert.Throws<PlanException>(() => MaxMemory.Parse(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void AllProblems_AreSaid() =>
        Assert.Equal(3, Assert.Throws<PlanException>(() => MaxMemory.Parse("0,x=1,1=y")).Problems.Count);

    [Theory]
    [InlineData("0=2,1=0.5", "0=2 1=0.5")]
    [InlineData(" 3 = 3350 ", "3=3350")]
    public void Speeds_AreReadAlike(string text, string expected) => Assert.Equal(
        expected, string.Join(' ', DeviceSpeeds.Parse(text).Select(FormattableString (speed) => $"{speed.Key}={speed.Value}")
            .Select(FormattableString.Invariant)));

    [Theory]
    [InlineData("0=0")]
    [InlineData("0=-1")]
    [InlineData("cpu=1")]
    [InlineData("0")]
    [InlineData("0=1,0=2")]
    public void WrongSpeeds_AreRefused(string text) => Assert.Throws<PlanException>(() => DeviceSpeeds.Parse(text));
}
