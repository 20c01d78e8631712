/* An addon that stands for a copy of the package of another version: it has the name "taken" open, and is used by
   the package in /elsewhere/sark-cache. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct peer {
  uint32_t abi;
  uint32_t size;
  uint32_t (*holds)(const uint16_t *name, size_t length);
  size_t (*folder)(uint8_t *out, size_t capacity);
};

static uint32_t holds(const uint16_t *name, size_t length) {
  // The cache 'taken', as engines know it.
  static const uint16_t taken[] = {'c', 'a', 'c', 'h', 'e', ':', 't', 'a', 'k', 'e', 'n'};
  return length == sizeof taken / sizeof taken[0] && memcmp(name, taken, sizeof taken) == 0 ? 1 : 0;
}

static size_t folder(uint8_t *out, size_t capacity) {
  static const char text[] = "/elsewhere/sark-cache";
  size_t length = sizeof text - 1;
  memcpy(out, text, length < capacity ? length : capacity);
  return length;
}

static const struct peer own = {4000000000u, sizeof(struct peer), holds, folder};

const struct peer *sark_cache_peer_v1(void) { return &own; }

void *napi_register_module_v1(void *env, void *exports) {
  (void)env;
  return exports;
}
