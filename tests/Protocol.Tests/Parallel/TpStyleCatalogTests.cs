using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Protocol.Tests.Parallel;

public sealed class TpStyleCatalogTests
{
    [Fact]
    public void EveryStyleOfTheAssembly_IsInTheCatalog()
    {
        var styles = typeof(TpStyle).Assembly.GetTypes()
            .Where(type => type.IsSubclassOf(typeof(TpStyle)) && !type.IsAbstract);

        Assert.Equal(
            styles.OrderBy(type => type.Name, StringComparer.Ordinal),
            TpStyleCatalog.All.Select(style => style.GetType()).OrderBy(type => type.Name, StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("colwise_rep", "colwise_gather_output")]
    [InlineData("rowwise_rep", "rowwise_split_input")]
    [InlineData("replicated_with_grad_allreduce", "replicate")]
    [InlineData("rowwise", "rowwise")]
    public void Aliases_LeadToTheStyle(string name, string canonical) =>
        Assert.Equal(canonical, TpStyleCatalog.Find(name)?.Name);

    [Fact]
    public void UnknownNames_LeadToNone() => Assert.Null(TpStyleCatalog.Find("Colwise"));
}
