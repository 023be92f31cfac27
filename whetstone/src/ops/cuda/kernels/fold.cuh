/* Sums of rows. */

/* Adds up each `each` rows of `in`, (rows, columns), in their order; one thread a sum. */
struct fold {
    struct Doubles in;
    struct Doubles out;
    uint32_t rows;
    uint32_t columns;
    uint32_t each;
    uint32_t groups;
};

KERNEL(fold) {
    const uint32_t t = THREAD;
    if (t >= a.groups * a.columns) return;
    const uint32_t column = t % a.columns;
    const uint32_t first = t / a.columns * a.each;
    const uint32_t end = a.rows - first < a.each ? a.rows : first + a.each;
    double sum = 0.0;
    for (uint32_t row = first; row < end; ++row) {
        sum += AT(a.in, (uint64_t)row * a.columns + column);
    }
    AT(a.out, t) = sum;
}

/* Sums of squares of every `chunks`-th number; one thread a chunk. */
struct squares {
    struct Floats x;
    struct Doubles sums;
    uint32_t count;
    uint32_t chunks;
};

KERNEL(squares) {
    const uint32_t chunk = THREAD;
    if (chunk >= a.chunks) return;
    double sum = 0.0;
    for (uint32_t i = chunk; i < a.count; i += a.chunks) {
        const double x = AT(a.x, i);
        sum += x * x;
    }
    AT(a.sums, chunk) = sum;
}
