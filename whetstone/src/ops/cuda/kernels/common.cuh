/* What the kernels are written in: the part of C that CUDA C++ and C11 have in common.
 *
 * A kernel is a function of one structure `a` and of the number of its thread, and of nothing else:
 * no block, no shared memory, no atomics. What has to be added up over threads is written to memory
 * as partial sums and added by `fold` in a fixed order. So a result depends neither on the order in
 * which threads run nor on how many run at once, and a plain C compiler can make the same kernels
 * into loops, which is how the tests run them where there is no GPU.
 *
 * A structure here and its twin in Rust (`#[repr(C)]`) have the same fields in the same order. */

#ifndef WHETSTONE_COMMON_CUH
#define WHETSTONE_COMMON_CUH

#include <math.h>
#include <stdint.h>

#ifdef __CUDACC__

#define KERNEL(name) extern "C" __global__ void name(const struct name a)
#define DEVICE static __device__ __forceinline__
#define THREAD (blockIdx.x * blockDim.x + threadIdx.x)
#define AT(span, index) ((span).data[index])

#else

#include <stdio.h>
#include <stdlib.h>

#define DEVICE static inline
#define THREAD host_thread

/* The thread that runs now. One library serves tests on several threads. */
static _Thread_local uint32_t host_thread;

/* On the host every access is checked: a GPU would read or write what is not ours. */
static inline uint64_t host_checked(uint64_t index, uint64_t len, const char *span, int line) {
    if (index >= len) {
        fprintf(stderr, "%s[%llu] in line %d, but its length is %llu\n", span,
                (unsigned long long)index, line, (unsigned long long)len);
        abort();
    }
    return index;
}

#define AT(span, index) ((span).data[host_checked((index), (span).len, #span, __LINE__)])

/* Runs the threads in the order that the caller asks for. */
#define KERNEL(name)                                                                               \
    static void name(const struct name a);                                                         \
    uint64_t host_size_##name(void) { return sizeof(struct name); }                                \
    void host_run_##name(const struct name *a, const uint32_t *order, uint64_t threads) {          \
        for (uint64_t i = 0; i < threads; ++i) {                                                   \
            host_thread = order[i];                                                                \
            name(*a);                                                                              \
        }                                                                                          \
    }                                                                                              \
    static void name(const struct name a)

#endif

/* Numbers in the device's memory. */
struct Floats {
    float *data;
    uint64_t len;
};

struct Doubles {
    double *data;
    uint64_t len;
};

struct Words {
    uint32_t *data;
    uint64_t len;
};

#endif
