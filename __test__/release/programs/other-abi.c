/* An addon of the right shape and another interface: `abi()` answers with a number that no build has. */

#include <stddef.h>
#include <stdint.h>

typedef struct napi_env__ *napi_env;
typedef struct napi_value__ *napi_value;
typedef struct napi_callback_info__ *napi_callback_info;

extern int napi_create_uint32(napi_env env, uint32_t value, napi_value *result);
extern int napi_create_function(napi_env env, const char *name, size_t length,
                                napi_value (*call)(napi_env, napi_callback_info), void *data,
                                napi_value *result);
extern int napi_set_named_property(napi_env env, napi_value object, const char *name, napi_value value);

static napi_value abi(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result = NULL;
  napi_create_uint32(env, 4000000000u, &result);
  return result;
}

napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  napi_value function = NULL;
  napi_create_function(env, "abi", 3, abi, NULL, &function);
  napi_set_named_property(env, exports, "abi", function);
  return exports;
}
