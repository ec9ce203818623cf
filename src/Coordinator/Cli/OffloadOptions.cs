using System.CommandLine;
using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Cli;

/// <summary>The options that say how weights which are off the devices come to them; the same on every command.</summary>
internal sealed class OffloadOptions
{
    private const int MostBlocksPerGroup = 1 << 16;

    // What a plan may have.
    private const int MostSlots = 64;

    private readonly Option<string?> _offload = new("--offload")
    {
        Description = "How weights that are off the devices come to them: model (the decoder, or the head), sequential (block by block) or "
            + "group (groups of blocks, the next ones on their way while one is computed). Without --max-memory everything that can be is "
            + "off, with it only what does not fit. Default for what does not fit: group. With several models, model: those that are idle make "
            + "room for those that are used.",
        HelpName = "KIND",
    };

    private readonly Option<int?> _blocksPerGroup = new("--blocks-per-group")
    {
        Description = "Blocks that come together, with --offload group. Default: 1.",
        HelpName = "N",
        CustomParser = NumberArgument.ReadOptional<int>,
    };

    private readonly Option<int?> _offloadSlots = new("--offload-slots")
    {
        Description = "Groups that have room on a device at a time, with --offload group. Default: 2, or 1 where 2 do not fit.",
        HelpName = "N",
        CustomParser = NumberArgument.ReadOptional<int>,
    };

    /// <summary>The options, to be added to a command.</summary>
    public IReadOnlyList<Option> All => [_offload, _blocksPerGroup, _offloadSlots];

    /// <summary>What was given on the command line.</summary>
    /// <exception cref="UsageException">A word or number cannot be read, or options exclude each other.</exception>
    public OffloadRequest Read(ParseResult result)
    {
        var word = result.GetValue(_offload);
        OffloadKind? kind = word is null
            ? null
            : OffloadKindNames.Find(word)
                ?? throw new UsageException($"{_offload.Name} is \"{word}\": give {string.Join(", ", OffloadKindNames.All)}.");
        var (blocks, slots) = (NumberArgument.Positive(result, _blocksPerGroup, MostBlocksPerGroup), NumberArgument.Positive(result, _offloadSlots, MostSlots));
        return kind is OffloadKind.Group or null || (blocks ?? slots) is null
            ? new OffloadRequest(kind, blocks, slots)
            : throw new UsageException(
                $"{(blocks is null ? _offloadSlots : _blocksPerGroup).Name} belongs to {_offload.Name} group, but {_offload.Name} is {word}: "
                + "give one of them.");
    }
}
