using TensorParallel.Worker.Ops.Cpu;
using Xunit;

namespace TensorParallel.Worker.Tests.Sampling;

public sealed class Philox4x32Tests
{
    /// <summary>Known answers published with the generator (Random123, philox4x32, 10 rounds).</summary>
    [Theory]
    [InlineData(
        new[] { 0u, 0u, 0u, 0u }, new[] { 0u, 0u }, new[] { 0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u })]
    [InlineData(
        new[] { 0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu },
        new[] { 0xffffffffu, 0xffffffffu },
        new[] { 0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu })]
    [InlineData(
        new[] { 0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u },
        new[] { 0xa4093822u, 0x299f31d0u },
        new[] { 0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u })]
    public void Known_answers(uint[] counter, uint[] key, uint[] expected)
    {
        var (x0, x1, x2, x3) = Philox4x32.Block(counter[0], counter[1], counter[2], counter[3], key[0], key[1]);
        Assert.Equal(expected, new[] { x0, x1, x2, x3 });
    }

    [Theory]
    [InlineData(4)]
    [InlineData(16)]
    [InlineData(20)]
    [InlineData(1024)]
    public void Many_blocks_at_once_are_the_single_blocks(int words)
    {
        var filled = new uint[words];
        Philox4x32.Fill(uint.MaxValue - 1, 77, 0xDEADBEEF, 0xFEEDF00D, filled);
        for (var i = 0; i < words; i += 4)
        {
            var counter = unchecked(uint.MaxValue - 1 + (uint)(i / 4));
            var (x0, x1, x2, x3) = Philox4x32.Block(counter, 77, 0, 0, 0xDEADBEEF, 0xFEEDF00D);
            Assert.Equal(new[] { x0, x1, x2, x3 }, filled[i..(i + 4)]);
        }
    }
}
