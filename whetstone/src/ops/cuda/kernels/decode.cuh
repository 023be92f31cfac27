/* Votes of the output neurons for the classes, the loss and its gradient, and hits. */

/* logits of each image, `votes` of (images, classes), from x of (images, width). The neurons of
 * class k are `neurons[starts[k] .. starts[k + 1]]`. One thread an image and class. */
struct votes {
    struct Floats x;
    struct Words starts;
    struct Words neurons;
    struct Doubles votes;
    uint32_t images;
    uint32_t width;
    uint32_t classes;
};

KERNEL(votes) {
    const uint32_t t = THREAD;
    if (t >= a.images * a.classes) return;
    const uint32_t image = t / a.classes, k = t % a.classes;
    const uint64_t row = (uint64_t)image * a.width;
    double all = 0.0, own = 0.0;
    for (uint32_t neuron = 0; neuron < a.width; ++neuron) {
        all += 2.0 * AT(a.x, row + neuron) - 1.0;
    }
    for (uint32_t i = AT(a.starts, k); i < AT(a.starts, k + 1); ++i) {
        own += 2.0 * AT(a.x, row + AT(a.neurons, i)) - 1.0;
    }
    AT(a.votes, t) = 2.0 * own - all;
}

/* Where Keras clips probabilities before it takes their logarithm. */
#define PROBABILITY_MIN 1e-7

DEVICE double votes_largest(struct Doubles votes, uint64_t row, uint32_t classes) {
    double largest = -INFINITY;
    for (uint32_t k = 0; k < classes; ++k) largest = fmax(largest, AT(votes, row + k));
    return largest;
}

/* −log p(label) of each image; one thread an image. */
struct losses {
    struct Doubles votes;
    struct Words labels;
    struct Doubles losses;
    uint32_t images;
    uint32_t classes;
    uint32_t clipped;
};

KERNEL(losses) {
    const uint32_t image = THREAD;
    if (image >= a.images) return;
    const uint64_t row = (uint64_t)image * a.classes;
    const double largest = votes_largest(a.votes, row, a.classes);
    const double own = AT(a.votes, row + AT(a.labels, image));
    double sum = 0.0;
    for (uint32_t k = 0; k < a.classes; ++k) sum += exp(AT(a.votes, row + k) - largest);
    if (a.clipped) {
        double p = exp(own - largest) / sum;
        p = p < PROBABILITY_MIN ? PROBABILITY_MIN : p;
        p = p > 1.0 - PROBABILITY_MIN ? 1.0 - PROBABILITY_MIN : p;
        AT(a.losses, image) = -log(p);
    } else {
        AT(a.losses, image) = log(sum) + largest - own;
    }
}

/* The mean of the losses from their sum; one thread in all. */
struct loss_mean {
    struct Doubles sum;
    struct Floats mean;
    uint32_t images;
};

KERNEL(loss_mean) {
    if (THREAD != 0) return;
    AT(a.mean, 0) = (float)(AT(a.sum, 0) / a.images);
}

/* Turns votes into p − onehot where they lie, or into zeros where the clip stops the gradient; one
 * thread an image. */
struct vote_errors {
    struct Doubles votes;
    struct Words labels;
    uint32_t images;
    uint32_t classes;
    uint32_t clipped;
};

KERNEL(vote_errors) {
    const uint32_t image = THREAD;
    if (image >= a.images) return;
    const uint64_t row = (uint64_t)image * a.classes;
    const double largest = votes_largest(a.votes, row, a.classes);
    double sum = 0.0;
    for (uint32_t k = 0; k < a.classes; ++k) {
        const double e = exp(AT(a.votes, row + k) - largest);
        AT(a.votes, row + k) = e;
        sum += e;
    }
    for (uint32_t k = 0; k < a.classes; ++k) AT(a.votes, row + k) /= sum;
    const uint64_t label = row + AT(a.labels, image);
    const double p = AT(a.votes, label);
    const int reaches = !a.clipped || (p >= PROBABILITY_MIN && p <= 1.0 - PROBABILITY_MIN);
    if (reaches) {
        AT(a.votes, label) = p - 1.0;
    } else {
        for (uint32_t k = 0; k < a.classes; ++k) AT(a.votes, row + k) = 0.0;
    }
}

/* d loss / d x, (images, width): 4 dy / images times the errors of the classes a neuron speaks for,
 * `classes_of[starts[n] .. starts[n + 1]]`; one thread a number of it. */
struct vote_gradient {
    struct Doubles errors;
    struct Words starts;
    struct Words classes_of;
    struct Floats dy;
    struct Floats dx;
    uint32_t images;
    uint32_t width;
    uint32_t classes;
};

KERNEL(vote_gradient) {
    const uint32_t t = THREAD;
    if (t >= a.images * a.width) return;
    const uint32_t image = t / a.width, neuron = t % a.width;
    const double factor = 4.0 * AT(a.dy, 0) / a.images;
    double sum = 0.0;
    for (uint32_t i = AT(a.starts, neuron); i < AT(a.starts, neuron + 1); ++i) {
        sum += factor * AT(a.errors, (uint64_t)image * a.classes + AT(a.classes_of, i));
    }
    AT(a.dx, t) = (float)sum;
}

/* 1 for each image whose first largest vote is its label's, else 0; one thread an image. */
struct vote_hits {
    struct Doubles votes;
    struct Words labels;
    struct Words hits;
    uint32_t images;
    uint32_t classes;
};

KERNEL(vote_hits) {
    const uint32_t image = THREAD;
    if (image >= a.images) return;
    const uint64_t row = (uint64_t)image * a.classes;
    uint32_t best = 0;
    for (uint32_t k = 1; k < a.classes; ++k) {
        if (AT(a.votes, row + k) > AT(a.votes, row + best)) best = k;
    }
    AT(a.hits, image) = best == AT(a.labels, image);
}
