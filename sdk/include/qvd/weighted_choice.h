/* qvd/weighted_choice.h - the product's own way to choose a node.
 *
 * Each node's free memory and idle CPU are taken relative to the best of the
 * candidates, so that each weight counts however large the numbers are (manual
 * chapter on load balancing: free RAM, unused CPU, and chance). The core falls
 * back to this when a balancer misbehaves; the plugin "weighted" is this with
 * configured weights. */
#ifndef QVD_WEIGHTED_CHOICE_H
#define QVD_WEIGHTED_CHOICE_H

#include "load_balancer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Not negative; their proportion counts. */
typedef struct qvd_weights {
  double ram;
  double cpu;
  double random;
} qvd_weights;

static inline double qvd_idle_cpu_power(const qvd_node *node) {
  const double power = node->cpu_mhz > 0 ? node->cpu_mhz : (double)node->cpus;
  return node->idle_cpu * power;
}

/* The index of the candidate with the highest score. `chance(state)` gives
 * numbers from 0 up to 1; null: no chance. */
static inline size_t qvd_weighted_choice(const qvd_placement *placement, qvd_weights weights,
                                         double (*chance)(void *state), void *state) {
  double most_ram = 0;
  double most_cpu = 0;
  double best_score = -1;
  size_t best = 0;
  size_t i;
  for (i = 0; i < placement->nodes.count; ++i) {
    const qvd_node *node = qvd_node_at(placement, i);
    const double cpu = qvd_idle_cpu_power(node);
    if (node->free_memory_mib > most_ram) most_ram = node->free_memory_mib;
    if (cpu > most_cpu) most_cpu = cpu;
  }
  for (i = 0; i < placement->nodes.count; ++i) {
    const qvd_node *node = qvd_node_at(placement, i);
    double score = 0;
    if (most_ram > 0) score += weights.ram * node->free_memory_mib / most_ram;
    if (most_cpu > 0) score += weights.cpu * qvd_idle_cpu_power(node) / most_cpu;
    if (chance && weights.random > 0) score += weights.random * chance(state);
    if (score > best_score) {
      best_score = score;
      best = i;
    }
  }
  return best;
}

#ifdef __cplusplus
}
#endif
#endif
