/* One update of a variable by each rule of `optim`, where it lies; one thread a number. */

/* The smallest normal number; what decays below it is zero, as on the CPU. */
#define NORMAL_MIN 1.17549435e-38f

DEVICE float flushed(float x) { return fabsf(x) < NORMAL_MIN ? 0.0f : x; }

/* Averages without a gradient: each times `keep`. */
struct decay {
    struct Floats averages;
    float keep;
    uint32_t count;
};

KERNEL(decay) {
    const uint32_t t = THREAD;
    if (t >= a.count) return;
    AT(a.averages, t) = flushed(AT(a.averages, t) * a.keep);
}

/* Mean square gradients a, then mean square steps. */
struct adadelta {
    struct Floats p;
    struct Floats averages;
    struct Floats g;
    float rho;
    float rest;
    float epsilon;
    float rate;
    uint32_t count;
};

KERNEL(adadelta) {
    const uint32_t t = THREAD;
    if (t >= a.count) return;
    const float g = AT(a.g, t);
    const float square = flushed(a.rho * AT(a.averages, t) + a.rest * g * g);
    const float step = AT(a.averages, a.count + (uint64_t)t);
    const float u = g * sqrtf((step + a.epsilon) / (square + a.epsilon));
    AT(a.averages, t) = square;
    AT(a.p, t) -= a.rate * u;
    AT(a.averages, a.count + (uint64_t)t) = flushed(a.rho * step + a.rest * u * u);
}

/* Mean square gradients. */
struct rmsprop {
    struct Floats p;
    struct Floats averages;
    struct Floats g;
    float rho;
    float rest;
    float epsilon;
    float rate;
    uint32_t count;
};

KERNEL(rmsprop) {
    const uint32_t t = THREAD;
    if (t >= a.count) return;
    const float g = AT(a.g, t);
    const float square = flushed(a.rho * AT(a.averages, t) + a.rest * g * g);
    AT(a.averages, t) = square;
    AT(a.p, t) -= a.rate * g / (sqrtf(square) + a.epsilon);
}

/* Mean gradients, then mean square gradients; `rate` has the correction of both for their start. */
struct adam {
    struct Floats p;
    struct Floats averages;
    struct Floats g;
    float beta1;
    float rest1;
    float beta2;
    float rest2;
    float epsilon;
    float rate;
    uint32_t count;
};

KERNEL(adam) {
    const uint32_t t = THREAD;
    if (t >= a.count) return;
    const float g = AT(a.g, t);
    const float mean = flushed(a.beta1 * AT(a.averages, t) + a.rest1 * g);
    const float square = flushed(a.beta2 * AT(a.averages, a.count + (uint64_t)t) + a.rest2 * g * g);
    AT(a.averages, t) = mean;
    AT(a.averages, a.count + (uint64_t)t) = square;
    AT(a.p, t) -= a.rate * mean / (sqrtf(square) + a.epsilon);
}

/* Velocities. */
struct sgd {
    struct Floats p;
    struct Floats averages;
    struct Floats g;
    float momentum;
    float rate;
    uint32_t count;
};

KERNEL(sgd) {
    const uint32_t t = THREAD;
    if (t >= a.count) return;
    const float velocity = flushed(a.momentum * AT(a.averages, t) - a.rate * AT(a.g, t));
    AT(a.averages, t) = velocity;
    AT(a.p, t) += velocity;
}
