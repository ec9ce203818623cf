using TensorParallel.Worker.Ops.Cuda;
using Xunit;

namespace TensorParallel.Worker.Tests.Ops.Cuda;

public sealed class ProductSizesTests
{
    [Theory]
    [InlineData(1, 4)]
    [InlineData(24, 24)]
    [InlineData(25, 32)]
    [InlineData(97, 128)]
    [InlineData(1000, 1024)]
    [InlineData(1030, 1280)]
    [InlineData(2049, 3072)]
    [InlineData(8192, 8192)]
    public void A_size_stands_for_the_rows_below_it(int rows, int size) => Assert.Equal(size, ProductSizes.Of(rows));

    [Theory]
    [InlineData(1)]
    [InlineData(80)]
    [InlineData(512)]
    [InlineData(2000)]
    [InlineData(8192)]
    public void Every_step_has_the_size_of_one_that_was_rehearsed(int most)
    {
        var rehearsed = ProductSizes.UpTo(most);

        Assert.All(rehearsed, rows => Assert.InRange(rows, 1, most));
        Assert.Equal(rehearsed.Distinct().Order(), rehearsed);
        var sizes = rehearsed.Select(ProductSizes.Of).ToHashSet();
        for (var rows = 1; rows <= most; rows++)
        {
            Assert.True(ProductSizes.Of(rows) >= rows && sizes.Contains(ProductSizes.Of(rows)), $"{rows} rows");
        }
    }
}
