// What every kernel shares: element types, 16-byte access, tensor-core and asynchronous-copy instructions.
// No CUDA header is included: NVRTC and a driver are all that is needed. Element types come as defines (-DT=bf16).
#pragma once

typedef unsigned int u32;
typedef unsigned short u16;
typedef long long i64;
typedef float f32;

struct bf16 { u16 bits; };
struct f16 { u16 bits; };

#define DEVICE __device__ __forceinline__
#define FULL_WARP 0xffffffffu
#define LOG2E 1.4426950408889634f
#define NEGATIVE_INFINITY __int_as_float(0xff800000)

// ---- Conversions. bf16 is the upper half of an f32; the rest is one PTX instruction, round to nearest even.
DEVICE float to_f32(bf16 v) { return __uint_as_float((u32)v.bits << 16); }
DEVICE float to_f32(f16 v) { float r; asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(v.bits)); return r; }
DEVICE float to_f32(f32 v) { return v; }

template <typename E> DEVICE E from_f32(float v);
template <> DEVICE bf16 from_f32<bf16>(float v) { bf16 r; asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r.bits) : "f"(v)); return r; }
template <> DEVICE f16 from_f32<f16>(float v) { f16 r; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r.bits) : "f"(v)); return r; }
template <> DEVICE f32 from_f32<f32>(float v) { return v; }

// Two elements in one register, the first in the low half.
template <typename E> DEVICE u32 pack2(float low, float high);
template <> DEVICE u32 pack2<bf16>(float low, float high) { u32 r; asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low)); return r; }
template <> DEVICE u32 pack2<f16>(float low, float high) { u32 r; asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low)); return r; }

template <typename E> DEVICE void unpack2(u32 v, float& low, float& high);
template <> DEVICE void unpack2<bf16>(u32 v, float& low, float& high)
{
    low = __uint_as_float(v << 16);
    high = __uint_as_float(v & 0xffff0000u);
}
template <> DEVICE void unpack2<f16>(u32 v, float& low, float& high)
{
    asm("{ .reg .b16 l, h; mov.b32 {l, h}, %2; cvt.f32.f16 %0, l; cvt.f32.f16 %1, h; }" : "=f"(low), "=f"(high) : "r"(v));
}

// ---- Eight elements at once: 16 bytes of a 2-byte type, twice 16 of f32. Addresses are multiples of 16.
template <typename E> DEVICE void unpack8(uint4 q, float (&v)[8])
{
    unpack2<E>(q.x, v[0], v[1]);
    unpack2<E>(q.y, v[2], v[3]);
    unpack2<E>(q.z, v[4], v[5]);
    unpack2<E>(q.w, v[6], v[7]);
}
template <typename E> DEVICE void load8(const E* p, float (&v)[8]) { unpack8<E>(*(const uint4*)p, v); }
template <> DEVICE void load8<f32>(const f32* p, float (&v)[8])
{
    const float4 a = ((const float4*)p)[0], b = ((const float4*)p)[1];
    v[0] = a.x; v[1] = a.y; v[2] = a.z; v[3] = a.w;
    v[4] = b.x; v[5] = b.y; v[6] = b.z; v[7] = b.w;
}

template <typename E> DEVICE void store8(E* p, const float (&v)[8])
{
    *(uint4*)p = make_uint4(pack2<E>(v[0], v[1]), pack2<E>(v[2], v[3]), pack2<E>(v[4], v[5]), pack2<E>(v[6], v[7]));
}
template <> DEVICE void store8<f32>(f32* p, const float (&v)[8])
{
    ((float4*)p)[0] = make_float4(v[0], v[1], v[2], v[3]);
    ((float4*)p)[1] = make_float4(v[4], v[5], v[6], v[7]);
}

// VEC consecutive elements, VEC = 8 (aligned) or 1 (anything).
template <int VEC, typename E> DEVICE void load_n(const E* p, float (&v)[VEC])
{
    if constexpr (VEC == 8) { load8<E>(p, v); } else { v[0] = to_f32(*p); }
}
template <int VEC, typename E> DEVICE void store_n(E* p, const float (&v)[VEC])
{
    if constexpr (VEC == 8) { store8<E>(p, v); } else { *p = from_f32<E>(v[0]); }
}

// One element of a type known only at run time: 0 f32, 1 bf16, 2 f16 (CudaElement.cs has the same numbers).
DEVICE float load_any(const void* p, int type, i64 index)
{
    return type == 0 ? ((const f32*)p)[index] : type == 1 ? to_f32(((const bf16*)p)[index]) : to_f32(((const f16*)p)[index]);
}

// ---- Sums over a warp and over a block. Every thread gets the result; the order is fixed, so results repeat exactly.
DEVICE float warp_sum(float v)
{
#pragma unroll
    for (int offset = 16; offset > 0; offset >>= 1) { v += __shfl_xor_sync(FULL_WARP, v, offset); }
    return v;
}

template <int COUNT> DEVICE float block_sum(float v, float* shared)
{
    v = warp_sum(v);
    if ((threadIdx.x & 31) == 0) { shared[threadIdx.x >> 5] = v; }
    __syncthreads();
    float sum = 0;
#pragma unroll
    for (int i = 0; i < COUNT; i++) { sum += shared[i]; }
    return sum;
}

// ---- Programmatic dependent launch (sm_90): a kernel may start before the one ahead of it has ended. Every kernel calls
// pdl_wait in every thread before it touches anything that another kernel writes or reads (weights may be read before, and what
// attention_decode.cu says); that also makes "the kernel before me is done" mean "all before it are done". Without the launch attribute both do nothing.
DEVICE void pdl_wait()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
DEVICE void pdl_launch()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;");
#endif
}

// ---- Asynchronous copies of 16 bytes into shared memory; bytes 0 writes zeros and reads nothing.
DEVICE u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }
DEVICE void copy_async(u32 target, const void* source, int bytes)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" :: "r"(target), "l"(source), "r"(bytes) : "memory");
}
DEVICE void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int PENDING> DEVICE void copy_wait() { asm volatile("cp.async.wait_group %0;" :: "n"(PENDING) : "memory"); }
DEVICE void copy_wait_all() { asm volatile("cp.async.wait_all;" ::: "memory"); }

// ---- Tensor cores: c[16 x 8] += a[16 x 16] * b[16 x 8], f32 sums. Lane l holds, with g = l / 4 and q = l % 4:
// a0 = a[g][2q..], a1 = a[g + 8][2q..], a2 = a[g][2q + 8..], a3 = a[g + 8][2q + 8..]; b0 = b[2q..][g], b1 = b[2q + 8..][g];
// c0, c1 = c[g][2q, 2q + 1]; c2, c3 = c[g + 8][2q, 2q + 1].
template <typename E> DEVICE void mma(float (&c)[4], u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1);
template <> DEVICE void mma<bf16>(float (&c)[4], u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
template <> DEVICE void mma<f16>(float (&c)[4], u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// Four 8 x 8 matrices of 2-byte elements; lane 8i + r gives the address of row r of matrix i.
DEVICE void load_matrices(u32 (&r)[4], u32 address)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
        : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address) : "memory");
}
DEVICE void load_matrices_transposed(u32 (&r)[4], u32 address)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
        : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address) : "memory");
}
