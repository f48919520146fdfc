/* SPDX-License-Identifier: Apache-2.0 */
/* EVAL: the product's scripts as they are, in Lua 5.1 as in Redis, with redis.call and
 * cjson.decode.
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <lua5.1/lauxlib.h>
#include <lua5.1/lua.h>
#include <lua5.1/lualib.h>

#include "tests/sim/keeper.h"
#include "tests/sim/trace.h"

#define ARGUMENTS_MAX 64

static lua_State *lua;

/* --- answers, there and back ----------------------------------------------------------------- */

static void give(lua_State *state, const struct redis_value *value)
{
	switch (value->kind) {
	case REDIS_NIL:
		lua_pushboolean(state, 0);
		break;
	case REDIS_NUMBER:
		lua_pushnumber(state, (lua_Number)value->number);
		break;
	case REDIS_TEXT:
		lua_pushlstring(state, value->text.data, value->text.len);
		break;
	case REDIS_LIST:
		lua_createtable(state, (int)value->count, 0);
		for (size_t i = 0; i < value->count; i++) {
			give(state, &value->items[i]);
			lua_rawseti(state, -2, (int)i + 1);
		}
		break;
	case REDIS_ERROR:
		lua_pushlstring(state, value->text.data, value->text.len);
		(void)lua_error(state);
		break;
	}
}

static void take(lua_State *state, int at, struct redis_value *out);

static void take_list(lua_State *state, int at, struct redis_value *out)
{
	size_t count = lua_objlen(state, at);
	struct redis_value *items = xcalloc(count + 1, sizeof(*items));

	for (size_t i = 0; i < count; i++) {
		lua_rawgeti(state, at, (int)i + 1);
		take(state, lua_gettop(state), &items[i]);
		lua_pop(state, 1);
	}
	*out = (struct redis_value){.kind = REDIS_LIST, .items = items, .count = count};
}

static void take(lua_State *state, int at, struct redis_value *out)
{
	size_t len;
	const char *text;

	*out = (struct redis_value){.kind = REDIS_NIL};
	switch (lua_type(state, at)) {
	case LUA_TNUMBER:
		out->kind = REDIS_NUMBER;
		out->number = (int64_t)lua_tonumber(state, at);
		break;
	case LUA_TSTRING:
		text = lua_tolstring(state, at, &len);
		out->kind = REDIS_TEXT;
		out->text = (struct span){xstrndup(text, len), len};
		break;
	case LUA_TBOOLEAN:
		if (lua_toboolean(state, at)) {
			out->kind = REDIS_NUMBER;
			out->number = 1;
		}
		break;
	case LUA_TTABLE:
		take_list(state, at, out);
		break;
	default:
		break;
	}
}

/* --- what scripts call ----------------------------------------------------------------------- */

static int call_redis(lua_State *state)
{
	struct span arguments[ARGUMENTS_MAX];
	struct redis_value value;
	int count = lua_gettop(state);

	if (count == 0 || count > ARGUMENTS_MAX) {
		return luaL_error(state, "redis.call with %d arguments", count);
	}
	for (int i = 0; i < count; i++) {
		arguments[i].data = luaL_checklstring(state, i + 1, &arguments[i].len);
	}
	keeper_run(arguments, (size_t)count, &value);
	give(state, &value);
	return 1;
}

static void give_json(lua_State *state, const json_t *json)
{
	const char *name;
	json_t *item;
	size_t i;

	switch (json_typeof(json)) {
	case JSON_OBJECT:
		lua_newtable(state);
		json_object_foreach((json_t *)(uintptr_t)json, name, item)
		{
			give_json(state, item);
			lua_setfield(state, -2, name);
		}
		break;
	case JSON_ARRAY:
		lua_newtable(state);
		json_array_foreach(json, i, item)
		{
			give_json(state, item);
			lua_rawseti(state, -2, (int)i + 1);
		}
		break;
	case JSON_STRING:
		lua_pushlstring(state, json_string_value(json), json_string_length(json));
		break;
	case JSON_INTEGER:
	case JSON_REAL:
		lua_pushnumber(state, json_number_value(json));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		lua_pushboolean(state, json_is_true(json));
		break;
	case JSON_NULL:
		lua_pushlightuserdata(state, NULL);
		break;
	}
}

static int decode_json(lua_State *state)
{
	size_t len;
	const char *text = luaL_checklstring(state, 1, &len);
	json_t *json = json_loadb(text, len, JSON_DECODE_ANY, NULL);

	if (json == NULL) {
		return luaL_error(state, "no JSON");
	}
	give_json(state, json);
	json_decref(json);
	return 1;
}

static void offer(lua_State *state, const char *table, const char *name, lua_CFunction function)
{
	lua_newtable(state);
	lua_pushcfunction(state, function);
	lua_setfield(state, -2, name);
	lua_setglobal(state, table);
}

/* --- EVAL ------------------------------------------------------------------------------------ */

static void give_list(lua_State *state, const char *name, const struct span *items, size_t count)
{
	lua_createtable(state, (int)count, 0);
	for (size_t i = 0; i < count; i++) {
		lua_pushlstring(state, items[i].data == NULL ? "" : items[i].data, items[i].len);
		lua_rawseti(state, -2, (int)i + 1);
	}
	lua_setglobal(state, name);
}

static void load(struct span script)
{
	lua_getfield(lua, LUA_REGISTRYINDEX, script.data);
	if (!lua_isnil(lua, -1)) {
		return;
	}
	lua_pop(lua, 1);
	if (luaL_loadbuffer(lua, script.data, script.len, "script") != 0) {
		broken("a script of Redis does not compile: %s", lua_tostring(lua, -1));
	}
	lua_pushvalue(lua, -1);
	lua_setfield(lua, LUA_REGISTRYINDEX, script.data);
}

void keeper_run_script(const struct span *arguments, size_t count, struct redis_value *out)
{
	size_t key_count = strtoul(arguments[2].data, NULL, 10);

	if (lua == NULL) {
		lua = luaL_newstate();
		luaL_openlibs(lua);
		offer(lua, "redis", "call", call_redis);
		offer(lua, "cjson", "decode", decode_json);
	}
	give_list(lua, "KEYS", arguments + 3, key_count);
	give_list(lua, "ARGV", arguments + 3 + key_count, count - 3 - key_count);
	load(arguments[1]);
	if (lua_pcall(lua, 0, 1, 0) != 0) {
		broken("a script of Redis fails: %s", lua_tostring(lua, -1));
	}
	take(lua, lua_gettop(lua), out);
	lua_settop(lua, 0);
}
