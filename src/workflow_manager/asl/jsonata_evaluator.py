"""Evaluates the syntax tree of a JSONata expression.

Source: JSONata documentation, and the reference implementation's behaviour where it is silent. One ``Evaluation`` is one run: it
holds nothing that outlives it. What a run costs is bounded in steps, depth and sizes rather than in time, so that the same
expression always ends the same way: each step of the tree costs one, and what a step copies or scans costs in proportion.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cmp_to_key
from typing import Any

from .jsonata_signatures import Signature
from .jsonata_text import string
from .jsonata_values import (
    UNDEFINED,
    Constructed,
    JsonataFault,
    Lambda,
    Native,
    Sequence,
    Value,
    is_function,
    is_number,
    number,
)
from .recursion import enter_room, leave_room
from .regex import Match, Regex

MAX_STEPS = 1_000_000
MAX_DEPTH = 500
"""Levels of the tree that are being evaluated at a time."""
MAX_SIZE = 1_000_000
"""Characters or items of any value an expression makes on its way."""

_SHALLOW = 40


class Frame:
    """Variables of one scope."""

    __slots__ = ("bindings", "parent")

    def __init__(self, parent: Frame | None, bindings: dict[str, Value] | None = None) -> None:
        self.bindings = {} if bindings is None else bindings
        self.parent = parent

    def lookup(self, name: str) -> Value:
        frame: Frame | None = self
        while frame is not None:
            bindings = frame.bindings
            if name in bindings:
                return bindings[name]
            frame = frame.parent
        return UNDEFINED


class Evaluation:
    """One run of an expression. ``environment`` is what functions may ask for: time, random numbers, UUIDs.

    ``left`` is how many steps it may take, at most MAX_STEPS.
    """

    __slots__ = ("depth", "environment", "left", "roomy")

    def __init__(self, environment: Any, left: int | None = None) -> None:
        self.environment = environment
        self.left = MAX_STEPS if left is None else min(left, MAX_STEPS)
        self.depth = 0
        self.roomy = False

    def run(self, tree: Any, data: Value, functions: Frame, bindings: Mapping[str, Value]) -> Value:
        """Evaluate ``tree``. Raises JsonataFault, and nothing else whatever the expression does."""
        frame = Frame(functions, {**bindings, "$": data})
        if data.__class__ is list:
            data = Sequence([data])
            data.outer = True
        try:
            return self.eval(tree, data, frame)
        except RecursionError:
            raise JsonataFault("D1011") from None
        except (OverflowError, ZeroDivisionError):
            raise JsonataFault("D1001", "it cannot be represented") from None
        finally:
            if self.roomy:
                leave_room()

    def charge(self, cost: int) -> None:
        self.left -= cost
        if self.left < 0:
            raise JsonataFault("D1012", MAX_STEPS)

    def eval(self, node: Any, data: Value, frame: Frame) -> Value:
        self.left -= 1
        if self.left < 0:
            raise JsonataFault("D1012", MAX_STEPS)
        depth = self.depth
        if depth >= _SHALLOW:
            if depth >= MAX_DEPTH:
                raise JsonataFault("D1011")
            if not self.roomy:
                enter_room()
                self.roomy = True
        self.depth = depth + 1
        kind = node.type
        result = _NODES[kind](self, node, data, frame)
        if node.predicate is not None:
            for predicate in node.predicate:
                result = self._filter(predicate.expr, result, frame)
        if kind != "path" and node.group is not None:
            result = self._group(node.group, result, frame)
        self.depth = depth
        if result.__class__ is Sequence and not result.tuples:
            if node.keep_array:
                result.keep_singleton = True
            if not result:
                return UNDEFINED
            if len(result) == 1 and not result.keep_singleton:
                return result[0]
        return result

    # Paths.

    def _path(self, node: Any, data: Value, frame: Frame) -> Value:
        steps = node.steps
        sequence = data if isinstance(data, list) and steps[0].type != "variable" else Sequence([data])
        result: Value = UNDEFINED
        tuples: list[dict[str, Value]] | None = None
        is_tuples = False
        last = len(steps) - 1
        for index, step in enumerate(steps):
            if step.tuple:
                is_tuples = True
            if index == 0 and step.consarray:
                result = self.eval(step, sequence, frame)
            elif is_tuples:
                tuples = self._tuple_step(step, sequence, tuples, frame)
            else:
                result = self._step(step, sequence, frame, last=index == last)
            if not is_tuples and (result is UNDEFINED or (isinstance(result, list) and not result)):
                break
            if step.focus is None:
                sequence = result
                if not isinstance(sequence, list):
                    sequence = Sequence([] if sequence is UNDEFINED else [sequence])
        if is_tuples:
            result = (
                (tuples if tuples is not None else Sequence())
                if node.tuple
                else Sequence(binding["@"] for binding in tuples or ())
            )
        if node.keep_singleton_array:
            if result.__class__ is Constructed:
                result = Sequence([result])
            if result.__class__ is Sequence:
                result.keep_singleton = True
        if node.group is not None:
            result = self._group(node.group, tuples if is_tuples else result, frame)
        return result

    def _step(self, node: Any, items: list[Value], frame: Frame, *, last: bool) -> Value:
        if node.type == "sort":
            ordered = self._sort(node, items, frame)
            return ordered if node.stages is None else self._stages(node.stages, ordered, frame)
        results: list[Value] = []
        evaluate, stages = self.eval, node.stages
        for item in items:
            result = evaluate(node, item, frame)
            if stages is not None:
                for stage in stages:
                    result = self._filter(stage.expr, result, frame)
            if result is not UNDEFINED:
                results.append(result)
        if last and len(results) == 1 and isinstance(results[0], list) and results[0].__class__ is not Sequence:
            return results[0]
        flat = Sequence()
        for result in results:
            if isinstance(result, list) and result.__class__ is not Constructed:
                _extend(flat, result)
            else:
                flat.append(result)
        self._made(flat)
        return flat

    def _tuple_step(self, node: Any, items: Any, tuples: list[dict[str, Value]] | None, frame: Frame) -> Any:
        result: Any
        if node.type == "sort":
            if tuples is not None:
                result = self._sort(node, tuples, frame)
            else:
                ordered = self._sort(node, items, frame)
                result = Sequence({"@": item, node.index: index} for index, item in enumerate(ordered))
            result = result if result.__class__ is Sequence else Sequence(result)
            result.tuples = True
            return result if node.stages is None else self._stages(node.stages, result, frame)
        result = Sequence()
        result.tuples = True
        if tuples is None:
            tuples = [{"@": item} for item in items]
        for binding in tuples:
            context = binding["@"]
            found = self.eval(node, context, Frame(frame, binding))
            if found is UNDEFINED:
                continue
            if not isinstance(found, list):
                found = [found]
            inner = found.__class__ is Sequence and found.tuples
            for index, item in enumerate(found):
                made = dict(binding)
                if inner:
                    made.update(item)
                else:
                    if node.focus is not None:
                        made[node.focus] = item
                    else:
                        made["@"] = item
                    if node.index is not None:
                        made[node.index] = index
                    if node.ancestor is not None:
                        made[node.ancestor.label] = context
                result.append(made)
            self.charge(len(found) * (1 + len(binding)))
        return result if node.stages is None else self._stages(node.stages, result, frame)

    def _stages(self, stages: list[Any], result: Value, frame: Frame) -> Value:
        for stage in stages:
            if stage.type == "filter":
                result = self._filter(stage.expr, result, frame)
            elif stage.type == "index":
                for index, binding in enumerate(result):
                    binding[str(stage.value)] = index
        return result

    def _filter(self, predicate: Any, data: Value, frame: Frame) -> Value:
        results: Value = Sequence()
        tuples = data.__class__ is Sequence and data.tuples
        results.tuples = tuples
        if data is UNDEFINED:
            return results
        items = data if isinstance(data, list) else [data]
        count = len(items)
        if predicate.type == "number" and predicate.predicate is None:
            index = math.floor(predicate.value)
            if index < 0:
                index += count
            if 0 <= index < count:
                item = items[index]
                if isinstance(item, list):
                    return item
                results.append(item)
            return results
        for index, item in enumerate(items):
            context, inner = (item["@"], Frame(frame, item)) if tuples else (item, frame)
            found = self.eval(predicate, context, inner)
            if found is True:
                results.append(item)
            elif found is False or found is UNDEFINED:
                continue
            elif is_number(found):
                if _index(found, count) == index:
                    results.append(item)
            elif isinstance(found, list) and set(map(type, found)) == {int}:
                self.charge(len(found) >> 3)
                results.extend([item] * (found.count(index) + found.count(index - count)))
            elif isinstance(found, list) and all(map(is_number, found)):
                self.charge(len(found) >> 1)
                results.extend(item for number_ in found if _index(number_, count) == index)
            elif truth(found):
                results.append(item)
        return results

    def _sort(self, node: Any, items: Any, frame: Frame) -> Value:
        tuples = items.__class__ is Sequence and items.tuples
        terms = node.terms
        keys: list[list[Value]] = []
        for item in items:
            context, inner = (item["@"], Frame(frame, item)) if tuples else (item, frame)
            keys.append([self.eval(term.expression, context, inner) for term in terms])

        def compare(one: int, other: int) -> int:
            for term, a, b in zip(terms, keys[one], keys[other], strict=True):
                if a is UNDEFINED or b is UNDEFINED:
                    if a is b:
                        continue
                    return 1 if a is UNDEFINED else -1  # what is undefined comes last, whatever the direction
                if not (_ordered(a) and _ordered(b)):
                    raise JsonataFault("T2008")
                if (a.__class__ is str) != (b.__class__ is str):
                    raise JsonataFault("T2007", a, b)
                if a != b:
                    return -1 if (a < b) != term.descending else 1
            return 0

        order = sorted(range(len(items)), key=cmp_to_key(compare))
        result = Sequence(items[index] for index in order)
        result.tuples = tuples
        self.charge(len(order) >> 1)
        return result

    def _name(self, node: Any, data: Value, _frame: Frame) -> Value:
        if data.__class__ is dict:
            return data.get(node.value, UNDEFINED)
        return self.lookup(data, node.value)

    def lookup(self, data: Value, key: str) -> Value:
        """The field of an object; of each object in an array."""
        if isinstance(data, list):
            found = Sequence()
            self.charge(len(data) >> 3)
            for item in data:
                value = item.get(key, UNDEFINED) if item.__class__ is dict else self.lookup(item, key)
                if value is UNDEFINED:
                    continue
                if isinstance(value, list):
                    _extend(found, value)
                else:
                    found.append(value)
            self._made(found)
            return found
        if isinstance(data, dict):
            return data.get(key, UNDEFINED)
        return UNDEFINED

    def _wildcard(self, _node: Any, data: Value, _frame: Frame) -> Value:
        results: list[Value] = Sequence()
        if data.__class__ is Sequence and data.outer and data:
            data = data[0]
        values = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
        for value in values:
            if isinstance(value, list):
                if results.__class__ is Sequence:
                    results = list(results)
                self._flatten(value, results)
            else:
                results.append(value)
        self._made(results)
        return results

    def _flatten(self, items: list[Value], into: list[Value]) -> None:
        self.charge(len(items) >> 2)
        for item in items:
            if isinstance(item, list):
                self._flatten(item, into)
            else:
                into.append(item)

    def _descendants(self, _node: Any, data: Value, _frame: Frame) -> Value:
        if data is UNDEFINED:
            return UNDEFINED
        results = Sequence()
        waiting = [data]
        while waiting:
            value = waiting.pop()
            if isinstance(value, list):
                inner: list[Value] = value
            else:
                results.append(value)
                inner = list(value.values()) if isinstance(value, dict) else []
            self.charge(len(inner) // 2 + 1)
            waiting.extend(reversed(inner))
        return results[0] if len(results) == 1 else results

    def _parent(self, node: Any, _data: Value, frame: Frame) -> Value:
        return frame.lookup(node.slot.label)

    # Operators.

    def _binary(self, node: Any, data: Value, frame: Frame) -> Value:
        operation = node.value
        left = self.eval(node.lhs, data, frame)
        if operation == "and":
            return truth(left) and truth(self.eval(node.rhs, data, frame))
        if operation == "or":
            return truth(left) or truth(self.eval(node.rhs, data, frame))
        right = self.eval(node.rhs, data, frame)
        return _OPERATORS[operation](self, operation, left, right)

    def _arithmetic(self, operation: str, left: Value, right: Value) -> Value:
        if left is not UNDEFINED and not is_number(left):
            raise JsonataFault("T2001", operation, left)
        if right is not UNDEFINED and not is_number(right):
            raise JsonataFault("T2002", operation, right)
        if left is UNDEFINED or right is UNDEFINED:
            return UNDEFINED
        return _ARITHMETIC[operation](left, right)

    def _equal(self, operation: str, left: Value, right: Value) -> Value:
        if left is UNDEFINED or right is UNDEFINED:
            return False
        return self.same(left, right) is (operation == "=")

    def same(self, left: Value, right: Value) -> bool:
        """Whether two values are equal as JSON."""
        one, other = left.__class__, right.__class__
        if one is other and (one is str or one is int):
            return bool(left == right)
        if isinstance(left, bool) or isinstance(right, bool):
            return left is right
        if isinstance(left, (int, float)):
            return isinstance(right, (int, float)) and left == right
        if isinstance(left, list):
            if not isinstance(right, list) or len(left) != len(right):
                return False
            self.charge(1 + (len(left) >> 1))
            for item, counterpart in zip(left, right, strict=True):  # noqa: SIM110 - a loop calls without going deeper in C
                if not self.same(item, counterpart):
                    return False
            return True
        if isinstance(left, dict):
            if not isinstance(right, dict) or left.keys() != right.keys():
                return False
            self.charge(1 + (len(left) >> 1))
            for key, value in left.items():  # noqa: SIM110
                if not self.same(value, right[key]):
                    return False
            return True
        return left is right

    def _compare(self, operation: str, left: Value, right: Value) -> Value:
        if not (left is UNDEFINED or _ordered(left)) or not (right is UNDEFINED or _ordered(right)):
            raise JsonataFault("T2010", operation)
        if left is UNDEFINED or right is UNDEFINED:
            return UNDEFINED
        if (left.__class__ is str) != (right.__class__ is str):
            raise JsonataFault("T2009", left, right, operation)
        if operation == "<":
            return left < right
        if operation == "<=":
            return left <= right
        return left > right if operation == ">" else left >= right

    def _concatenate(self, _operation: str, left: Value, right: Value) -> Value:
        one = "" if left is UNDEFINED else string(self, left)
        other = "" if right is UNDEFINED else string(self, right)
        return self.text(one + other)

    def _range(self, _operation: str, left: Value, right: Value) -> Value:
        if left is not UNDEFINED and not _whole(left):
            raise JsonataFault("T2003", left)
        if right is not UNDEFINED and not _whole(right):
            raise JsonataFault("T2004", right)
        if left is UNDEFINED or right is UNDEFINED or left > right:
            return UNDEFINED
        size = int(right) - int(left) + 1
        if size > MAX_SIZE:
            raise JsonataFault("D2014", size, MAX_SIZE)
        self.charge(size >> 2)
        return Sequence(range(int(left), int(right) + 1))

    def _includes(self, _operation: str, left: Value, right: Value) -> Value:
        if left is UNDEFINED or right is UNDEFINED:
            return False
        if not isinstance(right, list):
            return self.same(left, right)
        self.charge(len(right) >> 2)
        return any(self.same(left, item) for item in right)

    def _unary(self, node: Any, data: Value, frame: Frame) -> Value:
        if node.value == "[":
            return self._array(node, data, frame)
        if node.value == "{":
            return self._group(node, data, frame)
        value = self.eval(node.expression, data, frame)
        if value is UNDEFINED:
            return UNDEFINED
        if not is_number(value):
            raise JsonataFault("D1002", value)
        return -value

    def _array(self, node: Any, data: Value, frame: Frame) -> Value:
        made: list[Value] = Constructed() if node.consarray else []
        for item in node.expressions:
            value = self.eval(item, data, frame)
            if value is UNDEFINED:
                continue
            if isinstance(value, list) and not (item.type == "unary" and item.value == "["):
                _extend(made, value)
            else:
                made.append(value)
        self._made(made)
        return made

    def _group(self, node: Any, data: Value, frame: Frame) -> Value:
        tuples = data.__class__ is Sequence and data.tuples
        items = data if isinstance(data, list) else [data]
        groups: dict[str, tuple[int, list[Value]]] = {}
        pairs = node.lhs_object
        for item in items or (UNDEFINED,):
            context, inner = item, frame
            self.left -= 2 * len(pairs)
            if tuples and item is not UNDEFINED:
                context, inner = item["@"], Frame(frame, item)
            for index, pair in enumerate(pairs):
                key = self.eval(pair[0], context, inner)
                if key is UNDEFINED:
                    continue
                if not isinstance(key, str):
                    raise JsonataFault("T1003", key)
                group = groups.get(key)
                if group is None:
                    groups[key] = (index, [item])
                elif group[0] != index:
                    raise JsonataFault("D1009", key)
                else:
                    group[1].append(item)
        result: dict[str, Value] = {}
        for key, (index, members) in groups.items():
            inner = frame
            if tuples and members[0] is not UNDEFINED:
                binding = self._reduced(members)
                context = binding.pop("@")
                inner = Frame(frame, binding)
            else:
                context = self._joined(members)
            value = self.eval(pairs[index][1], context, inner)
            if value is not UNDEFINED:
                result[key] = value
        return result

    def _joined(self, members: list[Value]) -> Value:
        """What the items of one group are together: the item itself, or an array of all."""
        if len(members) == 1:
            return members[0]
        joined: list[Value] = []
        for member in members:
            if isinstance(member, list):
                _extend(joined, member)
            else:
                joined.append(member)
        self._made(joined)
        return joined

    def _reduced(self, members: list[dict[str, Value]]) -> dict[str, Value]:
        if len(members) == 1:
            return dict(members[0])
        names = dict.fromkeys(name for member in members for name in member)
        return {name: self._joined([member[name] for member in members if name in member]) for name in names}

    def _bind(self, node: Any, data: Value, frame: Frame) -> Value:
        value = self.eval(node.rhs, data, frame)
        frame.bindings[node.lhs.value] = value
        return value

    def _condition(self, node: Any, data: Value, frame: Frame) -> Value:
        condition = self.eval(node.condition, data, frame)
        if condition.__class__ is Lambda:  # both operands of ?: are one, and a call in tail position is not made yet
            condition = self._settled(condition, data, frame)
        if truth(condition):
            return self.eval(node.then, data, frame)
        return UNDEFINED if node._else is None else self.eval(node._else, data, frame)

    def _block(self, node: Any, data: Value, frame: Frame) -> Value:
        inner = Frame(frame)
        result: Value = UNDEFINED
        for expression in node.expressions:
            result = self.eval(expression, data, inner)
        return result

    def _literal(self, node: Any, _data: Value, _frame: Frame) -> Value:
        return node.value

    def _variable(self, node: Any, data: Value, frame: Frame) -> Value:
        if node.value == "":
            return data[0] if data.__class__ is Sequence and data.outer else data
        return frame.lookup(node.value)

    # Functions.

    def _lambda(self, node: Any, data: Value, frame: Frame) -> Value:
        parameters = [argument.value for argument in node.arguments]
        return Lambda(parameters, node.body, frame, data, node.signature, thunk=bool(node.thunk))

    def _function(self, node: Any, data: Value, frame: Frame, first: tuple[Value, ...] = ()) -> Value:
        procedure = node.procedure
        function = self.eval(procedure, data, frame)
        if function is UNDEFINED and procedure.type == "path":
            name = procedure.steps[0].value
            if isinstance(name, str) and frame.lookup(name) is not UNDEFINED:
                raise JsonataFault("T1005", name)
        arguments = list(first)
        arguments.extend([self.eval(argument, data, frame) for argument in node.arguments])
        return self.apply(function, arguments, data)

    def apply(self, function: Value, arguments: list[Value], data: Value = UNDEFINED) -> Value:
        """Call a function; ``data`` is the context that may stand in for an argument."""
        result = self._call(function, arguments, data)
        if result.__class__ is Lambda and result.thunk:
            return self._settled(result, data, None)
        return result

    def _settled(self, result: Value, data: Value, _frame: Frame | None) -> Value:
        """Make the calls in tail position, one after the other, without going deeper."""
        while result.__class__ is Lambda and result.thunk:
            call = result.body
            function = self.eval(call.procedure, result.input, result.frame)
            arguments = [self.eval(argument, result.input, result.frame) for argument in call.arguments]
            result = self._call(function, arguments, data)
        return result

    def _call(self, function: Value, arguments: list[Value], data: Value) -> Value:
        kind = function.__class__
        if kind is Lambda:
            if function.signature is not None:
                arguments = function.signature.validate(arguments, data, "lambda")
            self.left -= 3  # a call costs what several steps do
            given = len(arguments)
            bindings = {
                name: arguments[index] if index < given else UNDEFINED for index, name in enumerate(function.parameters)
            }
            depth = self.depth
            result = self.eval(function.body, function.input, Frame(function.frame, bindings))
            self.depth = depth
            return result
        if kind is Native:
            if function.signature is not None:
                arguments = function.signature.validate(arguments, data, function.name)
            for argument in arguments:
                if argument.__class__ in _SIZED:
                    self.left -= len(argument) >> 8
            self.left -= 1
            result = function.function(self, *arguments)
            if result.__class__ is float:
                if not math.isfinite(result):
                    raise JsonataFault("D1001", result)
                return number(result)
            if isinstance(result, list) and not any(result is argument for argument in arguments):
                self._made(result)
            return result
        if kind is Regex:
            return _next_match(function.pattern, _matches_of(self, function, arguments))
        raise JsonataFault("T1006")

    def matches(self, matcher: Value, text: str, name: str) -> Any:
        """Iterate over what a regular expression, or a function that acts as one, finds in a text."""
        if matcher.__class__ is Regex:
            return self._found(matcher, text)
        return self._matched(matcher, text, name)

    def _found(self, matcher: Regex, text: str) -> Any:
        length = len(text)
        for match in matcher.find(text):
            if match.start == match.end:
                raise JsonataFault("D1004")
            self.charge(2 + ((length - match.start) >> 8))  # it may have looked through all that was left
            yield match

    def _matched(self, matcher: Value, text: str, name: str) -> Any:
        found = self.apply(matcher, [text])
        while found is not UNDEFINED and found is not None:
            if not isinstance(found, dict):
                raise JsonataFault("T1010", name)
            start, end, groups, following = (found.get(key) for key in ("start", "end", "groups", "next"))
            if not (is_number(start) or is_number(end) or isinstance(groups, list) or is_function(following)):
                raise JsonataFault("T1010", name)
            if not (is_number(start) and isinstance(found.get("match"), str)):
                raise JsonataFault("T1010", name)
            at = int(start or 0)
            yield Match(found["match"], at, int(end or 0) if is_number(end) else at, tuple(groups or ()))
            if not is_function(following):
                return
            found = self.apply(following, [])

    def _partial(self, node: Any, data: Value, frame: Frame) -> Value:
        given = [
            _PLACE if argument.type == "operator" and argument.value == "?" else self.eval(argument, data, frame)
            for argument in node.arguments
        ]
        procedure = node.procedure
        function = self.eval(procedure, data, frame)
        if function is UNDEFINED and procedure.type == "path":
            name = procedure.steps[0].value
            if isinstance(name, str) and frame.lookup(name) is not UNDEFINED:
                raise JsonataFault("T1007", name)
        if not is_function(function):
            raise JsonataFault("T1008")

        def call(run: Evaluation, *later: Value) -> Value:
            rest = iter(later)
            return run.apply(function, [next(rest, UNDEFINED) if a is _PLACE else a for a in given])

        return Native("partial", call, None, sum(argument is _PLACE for argument in given))

    def _apply(self, node: Any, data: Value, frame: Frame) -> Value:
        left = self.eval(node.lhs, data, frame)
        if node.rhs.type == "function":
            return self._function(node.rhs, data, frame, (left,))
        function = self.eval(node.rhs, data, frame)
        if not is_function(function):
            raise JsonataFault("T2006")
        if is_function(left):
            return Native(
                "chain", lambda run, *given: run.apply(function, [run.apply(left, list(given))]), None, arity(left)
            )
        return self.apply(function, [left])

    def _transform(self, node: Any, _data: Value, frame: Frame) -> Value:
        def transform(run: Evaluation, data: Value) -> Value:
            if data is UNDEFINED:
                return UNDEFINED
            copy = run.clone(data)
            matches = run.eval(node.pattern, copy, frame)
            if matches is UNDEFINED:
                return copy
            for match in matches if isinstance(matches, list) else [matches]:
                update = run.eval(node.update, match, frame)
                if update is not UNDEFINED:
                    if not isinstance(update, dict):
                        raise JsonataFault("T2011", update)
                    if isinstance(match, dict):
                        match.update(update)
                if node.delete is not None:
                    names = run.eval(node.delete, match, frame)
                    if names is not UNDEFINED:
                        removed = names if isinstance(names, list) else [names]
                        if not all(isinstance(name, str) for name in removed):
                            raise JsonataFault("T2012", names)
                        if isinstance(match, dict):
                            for name in removed:
                                match.pop(name, None)
            return copy

        return Native("transform", transform, _TRANSFORMS, 1)

    def clone(self, value: Value) -> Value:
        """A copy of a value, all the way down."""
        if isinstance(value, dict):
            self.charge(1 + (len(value) >> 1))
            return {key: self.clone(item) for key, item in value.items() if not is_function(item)}
        if isinstance(value, list):
            self.charge(1 + (len(value) >> 1))
            return [self.clone(item) for item in value]
        return value

    # Sizes.

    def text(self, value: str) -> str:
        """Account for a text that was made."""
        length = len(value)
        if length > 256:
            if length > MAX_SIZE:
                raise JsonataFault("D2015", MAX_SIZE)
            self.charge(length >> 8)
        return value

    def _made(self, items: list[Value]) -> None:
        """Account for an array that was made."""
        length = len(items)
        if length > 8:
            if length > MAX_SIZE:
                raise JsonataFault("D2015", MAX_SIZE)
            self.charge(length >> 3)


_PLACE: Any = object()
_TRANSFORMS = Signature("<(oa):o>")
_SIZED = frozenset({str, list, dict, Sequence, Constructed})


def _extend(made: list[Value], items: list[Value]) -> None:
    """Add to an array that is being made; it never grows far beyond what it may have."""
    made.extend(items)
    if len(made) > MAX_SIZE:
        raise JsonataFault("D2015", MAX_SIZE)


def _index(value: float, count: int) -> int:
    index = math.floor(value)
    return index + count if index < 0 else index


def _ordered(value: Value) -> bool:
    return value.__class__ is str or (value.__class__ in (int, float) and is_number(value))


def _whole(value: Value) -> bool:
    return value.__class__ is int or (value.__class__ is float and value.is_integer())


def truth(value: Value) -> bool:
    """Cast to true or false (JSONata documentation, "$boolean"); undefined is false."""
    kind = value.__class__
    if kind is bool:
        return bool(value)
    if value is UNDEFINED or value is None:
        return False
    if isinstance(value, list):
        for item in value:  # noqa: SIM110 - a loop calls without going deeper in C
            if truth(item):
                return True
        return False
    if isinstance(value, (str, dict)):
        return bool(value)
    if isinstance(value, (int, float)):
        return value != 0
    return False


def arity(function: Value) -> int:
    """How many arguments a function is given by those that call it for each item."""
    if function.__class__ is Lambda:
        return len(function.parameters)
    return function.arity if function.__class__ is Native else 1


def _matches_of(run: Evaluation, matcher: Regex, arguments: list[Value]) -> Any:
    if not arguments or not isinstance(arguments[0], str):
        return iter(())
    return run.matches(matcher, arguments[0], "match")


def _next_match(pattern: str, matches: Any) -> Value:
    match = next(matches, None)
    if match is None:
        return UNDEFINED
    return {
        "match": match.text,
        "start": match.start,
        "end": match.end,
        "groups": list(match.groups),
        "next": Native("next", lambda _run, *_given: _next_match(pattern, matches), None, 0),
    }


def _modulo(left: float, right: float) -> float:
    if right == 0:
        return math.nan
    return (
        number(math.fmod(left, right))
        if isinstance(left, float) or isinstance(right, float)
        else int(math.fmod(left, right))
    )


def _divide(left: float, right: float) -> float:
    if right == 0:
        return math.nan if left == 0 else math.copysign(math.inf, left)
    return number(left / right)


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda left, right: _summed(left + right),
    "-": lambda left, right: _summed(left - right),
    "*": lambda left, right: _summed(left * right),
    "/": _divide,
    "%": _modulo,
}

_LARGE = 1 << 60


def _summed(value: float) -> float:
    """Numbers are doubles: integers are exact as far as 64 bits go, and no further."""
    if value.__class__ is int:
        return value if -_LARGE < value < _LARGE else float(value)
    return number(value)


_OPERATORS: dict[str, Callable[[Evaluation, str, Value, Value], Value]] = {
    **dict.fromkeys("+-*/%", Evaluation._arithmetic),
    **dict.fromkeys(("=", "!="), Evaluation._equal),
    **dict.fromkeys(("<", "<=", ">", ">="), Evaluation._compare),
    "&": Evaluation._concatenate,
    "..": Evaluation._range,
    "in": Evaluation._includes,
}

_NODES: dict[str, Callable[[Evaluation, Any, Value, Frame], Value]] = {
    "path": Evaluation._path,
    "binary": Evaluation._binary,
    "unary": Evaluation._unary,
    "name": Evaluation._name,
    "string": Evaluation._literal,
    "number": Evaluation._literal,
    "value": Evaluation._literal,
    "regex": Evaluation._literal,
    "wildcard": Evaluation._wildcard,
    "descendant": Evaluation._descendants,
    "parent": Evaluation._parent,
    "condition": Evaluation._condition,
    "block": Evaluation._block,
    "bind": Evaluation._bind,
    "function": Evaluation._function,
    "variable": Evaluation._variable,
    "lambda": Evaluation._lambda,
    "partial": Evaluation._partial,
    "apply": Evaluation._apply,
    "transform": Evaluation._transform,
}
