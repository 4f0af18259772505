/* Usual data elements: headers passed over and indexed, values and data sets made of bytes.

   Functions that keep nothing but tags, positions and VRs as objects of Python. Each that goes over
   bytes does so from a position as long as what stands there is usual, and returns where it stopped:
   at the end, or at the first element that is not. Those that make values and data sets leave out
   what is not usual. What that means, and every warning and error, is the business of the Python
   code around it, which is the judge of this one: with or without it, the same comes out. The types
   of all that is made are handed in; what they mean is not known here.

   Nothing is read beyond the end that is given, nor beyond that of the buffer. The limited API of
   CPython 3.11, so that one build serves every later version; and no format with a length ("y#"):
   compiled with the headers of 3.13, 3.12 and 3.11 refuse those.

   PS3.5 7.1.2 (explicit VR), 7.1.3 (implicit VR), 7.3 (little endian). */

#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define REVISION 6 /* of what the functions take and return; `native.py` asks for it */

#define UNDEFINED 0xFFFFFFFFu
#define ITEM 0xFFFEE000u

static inline uint32_t u16(const uint8_t *at) { return (uint32_t)at[0] | (uint32_t)at[1] << 8; }

static inline uint32_t u32(const uint8_t *at) { return u16(at) | u16(at + 2) << 16; }

/* The form of the length that goes with a VR. */
enum form { UNUSUAL, SHORT, LONG };

/* By the two letters of the VR, counted from A. */
#define VR(first, second) [first - 'A'][second - 'A']
static const uint8_t FORMS[26][26] = {
    VR('A', 'E') = SHORT, VR('A', 'S') = SHORT, VR('A', 'T') = SHORT, VR('C', 'S') = SHORT,
    VR('D', 'A') = SHORT, VR('D', 'S') = SHORT, VR('D', 'T') = SHORT, VR('F', 'D') = SHORT,
    VR('F', 'L') = SHORT, VR('I', 'S') = SHORT, VR('L', 'O') = SHORT, VR('L', 'T') = SHORT,
    VR('P', 'N') = SHORT, VR('S', 'H') = SHORT, VR('S', 'L') = SHORT, VR('S', 'S') = SHORT,
    VR('S', 'T') = SHORT, VR('T', 'M') = SHORT, VR('U', 'I') = SHORT, VR('U', 'L') = SHORT,
    VR('U', 'S') = SHORT, VR('O', 'B') = LONG,  VR('O', 'D') = LONG,  VR('O', 'F') = LONG,
    VR('O', 'L') = LONG,  VR('O', 'V') = LONG,  VR('O', 'W') = LONG,  VR('S', 'Q') = LONG,
    VR('S', 'V') = LONG,  VR('U', 'C') = LONG,  VR('U', 'N') = LONG,  VR('U', 'R') = LONG,
    VR('U', 'T') = LONG,  VR('U', 'V') = LONG,
};
#undef VR

static inline enum form form_of(uint8_t first, uint8_t second)
{
    unsigned row = (unsigned)first - 'A', column = (unsigned)second - 'A';

    return row < 26 && column < 26 ? (enum form)FORMS[row][column] : UNUSUAL;
}

/* Reads the usual header at `pos`, of which at least 8 bytes are there.
   Returns where the next element starts, which may be beyond `end`; -1 if it is not usual. */
static inline Py_ssize_t next_of(const uint8_t *data, Py_ssize_t pos, Py_ssize_t end,
                                 int is_explicit)
{
    uint32_t length;
    Py_ssize_t start = pos + 8;

    if (!is_explicit) {
        length = u32(data + pos + 4);
    } else {
        switch (form_of(data[pos + 4], data[pos + 5])) {
        case SHORT:
            return start + (Py_ssize_t)u16(data + pos + 6);
        case LONG:
            if (end - pos < 12)
                return -1;
            length = u32(data + pos + 8);
            start = pos + 12;
            break;
        default:
            return -1;
        }
    }
    if (length == UNDEFINED || (Py_ssize_t)length > PY_SSIZE_T_MAX - start)
        return -1;
    return start + (Py_ssize_t)length;
}

/* Tags that were met lately, and positions not far from the start, as numbers of Python: most files
   and items have the same ones, and now share them. */
#define KNOWN_TAGS 1024
#define KNOWN_POSITIONS 0x2000

struct state {
    PyObject *keys[KNOWN_TAGS];
    uint32_t tags[KNOWN_TAGS];
    PyObject *positions[KNOWN_POSITIONS]; /* of each, half of it is its place; odd ones are few */
    PyObject *vrs[26][26];
    PyObject *text; /* the name of the attribute of numbers that has their text */
};

/* A new reference. */
static PyObject *key_of(struct state *state, uint32_t tag)
{
    uint32_t slot = tag * 2654435769u >> 22;
    PyObject *key = state->keys[slot];

    if (key != NULL && state->tags[slot] == tag) {
        Py_INCREF(key);
        return key;
    }
    key = PyLong_FromUnsignedLong(tag);
    if (key != NULL) {
        PyObject *before = state->keys[slot];

        Py_INCREF(key);
        state->keys[slot] = key;
        state->tags[slot] = tag;
        Py_XDECREF(before);
    }
    return key;
}

/* A new reference. */
static PyObject *position_of(struct state *state, Py_ssize_t pos)
{
    PyObject **known;

    if (pos & 1 || pos >= 2 * KNOWN_POSITIONS)
        return PyLong_FromSsize_t(pos);
    known = state->positions + pos / 2;
    if (*known == NULL)
        *known = PyLong_FromSsize_t(pos);
    Py_XINCREF(*known);
    return *known;
}

static int note(struct state *state, PyObject *index, uint32_t tag, Py_ssize_t pos)
{
    PyObject *key = key_of(state, tag);
    PyObject *value = key == NULL ? NULL : position_of(state, pos);
    int failed = value == NULL || PyDict_SetItem(index, key, value) < 0;

    Py_XDECREF(key);
    Py_XDECREF(value);
    return failed ? -1 : 0;
}

/* Takes the buffer and clips what is asked for to it. */
static int view_of(PyObject *source, Py_buffer *view, Py_ssize_t pos, Py_ssize_t *end)
{
    if (PyObject_GetBuffer(source, view, PyBUF_SIMPLE) < 0)
        return -1;
    if (*end > view->len)
        *end = view->len;
    if (pos < 0) {
        PyBuffer_Release(view);
        PyErr_SetString(PyExc_ValueError, "expected a position from 0 on");
        return -1;
    }
    return 0;
}

static PyObject *index_usual(PyObject *self, PyObject *arguments)
{
    struct state *state = PyModule_GetState(self);
    PyObject *source, *index;
    Py_ssize_t pos, end;
    unsigned long stop;
    long long last;
    int is_explicit;
    Py_buffer view;
    int failed = 0;

    if (!PyArg_ParseTuple(arguments, "OO!nnLki", &source, &PyDict_Type, &index, &pos, &end, &last,
                          &stop, &is_explicit) ||
        view_of(source, &view, pos, &end) < 0)
        return NULL;
    const uint8_t *data = view.buf;
    while (!failed && end - pos >= 8) {
        uint32_t tag = u16(data + pos) << 16 | u16(data + pos + 2);
        Py_ssize_t next;

        if ((long long)tag <= last || tag >= stop)
            break;
        next = next_of(data, pos, end, is_explicit);
        if (next < 0)
            break;
        failed = note(state, index, tag, pos);
        last = tag;
        pos = next;
    }
    PyBuffer_Release(&view);
    return failed ? NULL : Py_BuildValue("nL", pos, last);
}

static PyObject *pick_usual(PyObject *self, PyObject *arguments)
{
    struct state *state = PyModule_GetState(self);
    PyObject *source, *index, *wanted_tags;
    Py_ssize_t pos, end, following, count, at = 0;
    unsigned long least;
    long long last, seen;
    Py_buffer view;
    int failed = 0;

    if (!PyArg_ParseTuple(arguments, "OO!nnnLLkO!", &source, &PyDict_Type, &index, &pos, &end,
                          &following, &last, &seen, &least, &PyBytes_Type, &wanted_tags) ||
        view_of(source, &view, pos, &end) < 0)
        return NULL;
    const uint8_t *data = view.buf, *wanted = (const uint8_t *)PyBytes_AsString(wanted_tags);
    count = PyBytes_Size(wanted_tags) / 4;
    while (!failed && end - pos >= 8) {
        uint32_t tag = u16(data + pos) << 16 | u16(data + pos + 2);
        Py_ssize_t next, low, high;
        int is_wanted;

        if (tag >= ITEM || tag < least)
            break;
        next = next_of(data, pos, end, 1);
        if (next < 0)
            break;
        /* The first wanted tag that is not below this one: most often where it was before. */
        if (at > 0 && u32(wanted + 4 * (at - 1)) >= tag)
            at = 0;
        if (at < count && u32(wanted + 4 * at) < tag) {
            low = at + 1;
            high = count;
            while (low < high) {
                Py_ssize_t middle = low + (high - low) / 2;

                if (u32(wanted + 4 * middle) < tag)
                    low = middle + 1;
                else
                    high = middle;
            }
            at = low;
        }
        is_wanted = at < count && u32(wanted + 4 * at) == tag;
        if (is_wanted) {
            if ((long long)tag <= last)
                break;
            failed = note(state, index, tag, pos);
            last = tag;
            following = next;
        }
        seen = tag;
        pos = next;
    }
    PyBuffer_Release(&view);
    return failed ? NULL : Py_BuildValue("nnLL", pos, following, last, seen);
}

/* The elements of usual file meta information behind its group length (PS3.10 7.1). */
static const struct {
    uint16_t element;
    char vr[3];
} META[] = {
    {0x0001, "OB"}, {0x0002, "UI"}, {0x0003, "UI"}, {0x0010, "UI"}, {0x0012, "UI"},
    {0x0013, "SH"}, {0x0016, "AE"}, {0x0017, "AE"}, {0x0018, "AE"},
};

#define META_START 144 /* preamble, prefix, group length */

/* Whether these bytes are digits and periods, of which the last one may be padding. */
static int is_uid(const uint8_t *value, Py_ssize_t length)
{
    Py_ssize_t at;

    for (at = 0; at < length; at++)
        if ((value[at] < '0' || value[at] > '9') && value[at] != '.')
            return at > 0 && at == length - 1 && (value[at] == 0 || value[at] == ' ');
    return length > 0;
}

/* Where the file meta information of a file ends, -1 if something about it is not usual; *uid is
   where the transfer syntax stands. */
static Py_ssize_t end_of_meta(const uint8_t *data, Py_ssize_t end, Py_ssize_t *uid)
{
    Py_ssize_t pos = META_START;
    size_t at = 0, count = sizeof META / sizeof *META;

    if (end < META_START + 8 || memcmp(data + 128, "DICM\2\0\0\0UL\4\0", 12) != 0)
        return -1;
    *uid = 0;
    while (end - pos >= 8 && u16(data + pos) == 2) {
        uint32_t element = u16(data + pos + 2), length = u16(data + pos + 6);

        while (at < count && META[at].element < element)
            at++;
        if (at == count || META[at].element != element ||
            memcmp(data + pos + 4, META[at].vr, 2) != 0)
            return -1;
        at++;
        if (element == 1) {
            if (length != 0 || end - pos < 14 || u32(data + pos + 8) != 2)
                return -1;
            pos += 14;
            continue;
        }
        if (length > 64 || end - pos - 8 < (Py_ssize_t)length)
            return -1;
        if (element == 0x10) {
            if (length < 2 || !is_uid(data + pos + 8, (Py_ssize_t)length))
                return -1;
            *uid = pos + 8;
        } else if (length & 1) {
            return -1;
        }
        pos += 8 + (Py_ssize_t)length;
    }
    if (*uid == 0 || end - pos < 8 || (Py_ssize_t)u32(data + 140) != pos - META_START)
        return -1;
    return pos;
}

static PyObject *meta_usual(PyObject *self, PyObject *arguments)
{
    PyObject *source, *found = NULL;
    Py_ssize_t end = PY_SSIZE_T_MAX, pos, uid;
    Py_buffer view;

    (void)self;
    if (!PyArg_ParseTuple(arguments, "O", &source) || view_of(source, &view, 0, &end) < 0)
        return NULL;
    pos = end_of_meta(view.buf, end, &uid);
    if (pos >= 0) {
        const uint8_t *at = (const uint8_t *)view.buf + uid;
        PyObject *text = PyBytes_FromStringAndSize((const char *)at - 2, 2 + (Py_ssize_t)u16(at - 2));

        found = text == NULL ? NULL : Py_BuildValue("nN", pos, text);
    }
    PyBuffer_Release(&view);
    if (pos < 0)
        Py_RETURN_NONE;
    return found;
}

/* Whether a value is an even number of bytes, at most 64, of digits and periods, of which the last
   one may be padding: a UID as it is written (PS3.5 9.1, 6.2). Its length without padding, or -1. */
static Py_ssize_t uid_length(const uint8_t *value, Py_ssize_t length)
{
    Py_ssize_t at;

    if (length > 64 || length & 1)
        return -1;
    for (at = 0; at < length; at++) {
        uint8_t one = value[at];

        if ((one < '0' || one > '9') && one != '.')
            return at == length - 1 && (one == 0 || one == ' ') ? at : -1;
    }
    return length;
}

#define MOST_UIDS 8

static PyObject *uids_usual(PyObject *self, PyObject *arguments)
{
    PyObject *source, *found, *wanted_tags;
    Py_ssize_t end, count, at, pos = 0, starts[MOST_UIDS], lengths[MOST_UIDS];
    int is_explicit;
    int64_t last = -1;
    Py_buffer view;

    (void)self;
    if (!PyArg_ParseTuple(arguments, "OniO!", &source, &end, &is_explicit, &PyBytes_Type,
                          &wanted_tags))
        return NULL;
    const uint8_t *wanted = (const uint8_t *)PyBytes_AsString(wanted_tags);
    count = PyBytes_Size(wanted_tags) / 4;
    if (count > MOST_UIDS) {
        PyErr_SetString(PyExc_ValueError, "expected at most 8 tags");
        return NULL;
    }
    if (view_of(source, &view, pos, &end) < 0)
        return NULL;
    const uint8_t *data = view.buf;
    for (at = 0; at < count; at++)
        starts[at] = lengths[at] = 0;
    while (end - pos >= 8) {
        uint32_t tag = u16(data + pos) << 16 | u16(data + pos + 2);
        Py_ssize_t next;

        if (tag <= last || tag >= ITEM)
            break;
        next = next_of(data, pos, end, is_explicit);
        if (next < 0)
            break;
        for (at = 0; at < count && u32(wanted + 4 * at) != tag; at++)
            ;
        if (at < count) {
            if (next > end || (is_explicit && (data[pos + 4] != 'U' || data[pos + 5] != 'I')))
                break;
            starts[at] = pos + 8;
            lengths[at] = uid_length(data + pos + 8, next - pos - 8);
            if (lengths[at] < 0)
                break;
        }
        last = tag;
        pos = next;
    }
    if (pos != end) {
        PyBuffer_Release(&view);
        Py_RETURN_NONE;
    }
    found = PyTuple_New(count);
    for (at = 0; found != NULL && at < count; at++) {
        PyObject *uid =
            PyUnicode_DecodeASCII((const char *)data + starts[at], lengths[at], "strict");

        if (uid == NULL || PyTuple_SetItem(found, at, uid) < 0) {
            Py_DECREF(found);
            found = NULL;
        }
    }
    PyBuffer_Release(&view);
    return found;
}

static Py_ssize_t next_at_all(const uint8_t *data, Py_ssize_t pos, Py_ssize_t end, int is_explicit,
                              int depth);

/* How deep sequences of undefined length are looked into. */
#define DEEPEST 8

/* Where an element of undefined length ends whose content starts at `pos`: a sequence, whose items
   are encoded as it is; or fragments, whose lengths are defined. -1 if anything is not usual. */
static Py_ssize_t end_of_undefined(const uint8_t *data, Py_ssize_t pos, Py_ssize_t end,
                                   int is_explicit, int has_fragments, int depth)
{
    while (end - pos >= 8 && u16(data + pos) == 0xFFFE) {
        uint32_t number = u16(data + pos + 2), length = u32(data + pos + 4);
        int64_t last = -1;

        pos += 8;
        if (number == 0xE0DD)
            return length == 0 ? pos : -1;
        if (number != 0xE000)
            return -1;
        if (length != UNDEFINED) {
            if ((int64_t)length > (int64_t)(end - pos))
                return -1;
            pos += (Py_ssize_t)length;
            continue;
        }
        if (has_fragments)
            return -1;
        for (;;) {
            uint32_t tag;

            if (end - pos < 8)
                return -1;
            tag = u16(data + pos) << 16 | u16(data + pos + 2);
            if (tag == 0xFFFEE00Du)
                break;
            if (tag <= last || tag >> 16 == 0xFFFE)
                return -1;
            last = tag;
            pos = next_at_all(data, pos, end, is_explicit, depth + 1);
            if (pos < 0 || pos > end)
                return -1;
        }
        if (u32(data + pos + 4) != 0)
            return -1;
        pos += 8;
    }
    return -1;
}

/* As `next_of`; but an element may be of undefined length, if it ends. */
static Py_ssize_t next_at_all(const uint8_t *data, Py_ssize_t pos, Py_ssize_t end, int is_explicit,
                              int depth)
{
    Py_ssize_t next = next_of(data, pos, end, is_explicit), start = pos + (is_explicit ? 12 : 8);
    int is_pixel_data = u16(data + pos) == 0x7FE0 && u16(data + pos + 2) == 0x0010;
    int is_sequence;

    if (next >= 0 || depth > DEEPEST || start > end || u32(data + start - 4) != UNDEFINED)
        return next;
    if (!is_explicit)
        return is_pixel_data ? -1 : end_of_undefined(data, start, end, 0, 0, depth);
    is_sequence = data[pos + 4] == 'S' && data[pos + 5] == 'Q';
    if (is_pixel_data ? data[pos + 4] != 'O' || (data[pos + 5] != 'B' && data[pos + 5] != 'W')
                      : !is_sequence)
        return -1;
    return end_of_undefined(data, start, end, 1, is_pixel_data, depth);
}

static PyObject *offsets_usual(PyObject *self, PyObject *arguments)
{
    PyObject *source, *tags = NULL, *offsets = NULL, *found = NULL;
    Py_ssize_t end, pos = 0, count = 0;
    int64_t last = -1;
    int is_explicit;
    Py_buffer view;

    (void)self;
    if (!PyArg_ParseTuple(arguments, "Oni", &source, &end, &is_explicit) ||
        view_of(source, &view, pos, &end) < 0)
        return NULL;
    const uint8_t *data = view.buf;
    while (end - pos >= 8) {
        uint32_t tag = u16(data + pos) << 16 | u16(data + pos + 2);
        Py_ssize_t next;

        if (tag <= last || tag >= ITEM)
            break;
        next = next_at_all(data, pos, end, is_explicit, 0);
        if (next < 0 || next > end)
            break;
        last = tag;
        pos = next;
        count++;
    }
    if (pos != end) {
        PyBuffer_Release(&view);
        Py_RETURN_NONE;
    }
    tags = PyBytes_FromStringAndSize(NULL, 4 * count);
    offsets = PyBytes_FromStringAndSize(NULL, 8 * (count + 1));
    if (tags != NULL && offsets != NULL) {
        char *tag_at = PyBytes_AsString(tags), *offset_at = PyBytes_AsString(offsets);
        int64_t offset;

        for (pos = 0; pos < end; pos = next_at_all(data, pos, end, is_explicit, 0)) {
            uint32_t tag = u16(data + pos) << 16 | u16(data + pos + 2);

            offset = pos;
            memcpy(tag_at, &tag, 4);
            memcpy(offset_at, &offset, 8);
            tag_at += 4;
            offset_at += 8;
        }
        offset = end;
        memcpy(offset_at, &offset, 8);
        found = PyTuple_Pack(2, tags, offsets);
    }
    Py_XDECREF(tags);
    Py_XDECREF(offsets);
    PyBuffer_Release(&view);
    return found;
}

/* --- objects -------------------------------------------------------------------------------- */

/* A class and some of its slots: objects of it are made and filled without a call of Python. */
#define MOST_SLOTS 12

struct shape {
    PyTypeObject *type;
    allocfunc alloc;
    descrsetfunc set;
    PyObject *slots[MOST_SLOTS];
};

/* A class, and behind it, in a tuple, the slots. */
static int take_shape(struct shape *shape, PyObject *parts, Py_ssize_t count)
{
    Py_ssize_t at;

    if (!PyTuple_Check(parts) || PyTuple_Size(parts) != count + 1 ||
        !PyType_Check(PyTuple_GetItem(parts, 0))) {
        PyErr_Format(PyExc_TypeError, "expected a class and %zd slots", count);
        return -1;
    }
    shape->type = (PyTypeObject *)PyTuple_GetItem(parts, 0);
    shape->alloc = (allocfunc)PyType_GetSlot(shape->type, Py_tp_alloc);
    shape->set = (descrsetfunc)PyType_GetSlot(&PyMemberDescr_Type, Py_tp_descr_set);
    for (at = 0; at < count; at++) {
        shape->slots[at] = PyTuple_GetItem(parts, at + 1);
        if (!PyObject_TypeCheck(shape->slots[at], &PyMemberDescr_Type)) {
            PyErr_SetString(PyExc_TypeError, "expected a slot");
            return -1;
        }
    }
    return 0;
}

/* What is made here has nothing in it that leads back to it, until somebody puts it into itself; so
   the collector need not look at it, which for many objects costs as much as to make them. */
static PyObject *untracked(PyObject *made)
{
    if (made != NULL && PyType_GetFlags(Py_TYPE(made)) & Py_TPFLAGS_HAVE_GC)
        PyObject_GC_UnTrack(made);
    return made;
}

/* A new reference to an object whose slots have these values, none of which is NULL. */
static PyObject *object_of(const struct shape *shape, PyObject *const *values, Py_ssize_t count)
{
    PyObject *made = shape->alloc(shape->type, 0);
    Py_ssize_t at;

    for (at = 0; made != NULL && at < count; at++)
        if (shape->set(shape->slots[at], made, values[at]) < 0)
            Py_CLEAR(made);
    return made;
}

static int append_row(PyObject *rows, Py_ssize_t start, Py_ssize_t end, PyObject *index)
{
    PyObject *row = Py_BuildValue("nnO", start, end, index);
    int failed = row == NULL || PyList_Append(rows, row) < 0;

    Py_XDECREF(row);
    return failed ? -1 : 0;
}

/* Indexes the item at `pos`, of a defined length.

   Returns the index of its elements, and where it ends and how many it has, itself counted; NULL:
   it is not usual, or with an exception. */
static PyObject *index_of_item(struct state *state, const uint8_t *data, Py_ssize_t pos,
                               Py_ssize_t end, Py_ssize_t most, Py_ssize_t *item_end,
                               Py_ssize_t *count)
{
    PyObject *index;
    int64_t last = -1;
    int failed = 0;

    if (end - pos < 8 || u16(data + pos) != 0xFFFE || u16(data + pos + 2) != 0xE000 ||
        (int64_t)u32(data + pos + 4) > (int64_t)(end - pos - 8))
        return NULL;
    *item_end = pos + 8 + (Py_ssize_t)u32(data + pos + 4);
    *count = 1;
    pos += 8;
    index = PyDict_New();
    failed = index == NULL;
    while (!failed && *item_end - pos >= 8) {
        uint32_t tag = u16(data + pos) << 16 | u16(data + pos + 2);
        Py_ssize_t next;

        if (tag <= last || tag >> 16 == 0xFFFE)
            break;
        next = next_of(data, pos, *item_end, 1);
        if (next < 0 || next > *item_end)
            break;
        failed = note(state, index, tag, pos);
        ++*count;
        last = tag;
        pos = next;
    }
    if (failed || pos != *item_end || *count > most)
        Py_CLEAR(index);
    return index;
}

static PyObject *items_usual(PyObject *self, PyObject *arguments)
{
    struct state *state = PyModule_GetState(self);
    PyObject *source, *rows, *index;
    Py_ssize_t at, end, most, item_end, count, seen = 0;
    Py_buffer view;
    int failed = 0;

    if (!PyArg_ParseTuple(arguments, "OO!nnn", &source, &PyList_Type, &rows, &at, &end, &most) ||
        view_of(source, &view, at, &end) < 0)
        return NULL;
    while (!failed && (index = index_of_item(state, view.buf, at, end, most - seen, &item_end,
                                             &count)) != NULL) {
        failed = append_row(rows, at + 8, item_end, index) < 0;
        Py_DECREF(index);
        seen += count;
        at = item_end;
    }
    PyBuffer_Release(&view);
    return PyErr_Occurred() ? NULL : Py_BuildValue("nn", at, seen);
}

/* The slots of an element that was read. */
enum element_slot { HOLDER, TAG, ELEMENT_VR, OFFSET, VALUE, ELEMENT_SLOTS };

/* A new reference to a prefix and one more tag, as a tuple of a class of its own. */
static PyObject *path_of(PyTypeObject *kind, PyObject *prefix, PyObject *tag)
{
    allocfunc alloc = (allocfunc)PyType_GetSlot(kind, Py_tp_alloc);
    Py_ssize_t at, length = PyTuple_Size(prefix);
    PyObject *path = alloc(kind, length + 1);
    int failed = path == NULL;

    for (at = 0; !failed && at <= length; at++) {
        PyObject *part = at < length ? PyTuple_GetItem(prefix, at) : tag;

        Py_INCREF(part);
        failed = PyTuple_SetItem(path, at, part) < 0;
    }
    if (failed)
        Py_CLEAR(path);
    return path;
}

static int append_run(PyObject *runs, PyObject **pairs, PyObject *tag, PyObject *offset,
                      PyObject *element)
{
    PyObject *run = *pairs == NULL ? NULL : PyTuple_Pack(4, *pairs, tag, offset, element);
    int failed = run == NULL || PyList_Append(runs, run) < 0;

    Py_XDECREF(run);
    Py_CLEAR(*pairs);
    *pairs = failed ? NULL : PyList_New(0);
    return *pairs == NULL ? -1 : 0;
}

static int append_pair(PyObject *pairs, PyTypeObject *kind, PyObject *prefix, PyObject *tag,
                       PyObject *element)
{
    PyObject *path = untracked(path_of(kind, prefix, tag));
    PyObject *pair = path == NULL ? NULL : untracked(PyTuple_Pack(2, path, element));
    int failed = pair == NULL || PyList_Append(pairs, pair) < 0;

    Py_XDECREF(path);
    Py_XDECREF(pair);
    return failed ? -1 : 0;
}

/* The VR in a header, borrowed; NULL: none that is written there, or UN, or with an exception. */
static PyObject *vr_in(struct state *state, const uint8_t *data, Py_ssize_t pos, Py_ssize_t end)
{
    char letters[3] = "";
    PyObject **known;

    if (pos < 0 || end - pos < 8)
        return NULL;
    memcpy(letters, data + pos + 4, 2);
    if (form_of(data[pos + 4], data[pos + 5]) == UNUSUAL || strcmp(letters, "UN") == 0)
        return NULL;
    known = &state->vrs[letters[0] - 'A'][letters[1] - 'A'];
    if (*known == NULL)
        *known = PyUnicode_InternFromString(letters);
    return *known;
}

static PyObject *runs_usual(PyObject *self, PyObject *arguments)
{
    struct state *state = PyModule_GetState(self);
    PyObject *source, *index, *known, *prefix, *path_kind, *elements, *tag, *offset;
    PyObject *values[ELEMENT_SLOTS], *unread, *runs, *pairs;
    Py_ssize_t end = PY_SSIZE_T_MAX, at = 0;
    struct shape shape;
    Py_buffer view;
    int failed;

    if (!PyArg_ParseTuple(arguments, "OO!O!OO!O!OO", &source, &PyDict_Type, &index, &PyDict_Type,
                          &known, &values[HOLDER], &PyTuple_Type, &prefix, &PyType_Type,
                          &path_kind, &elements, &unread) ||
        take_shape(&shape, elements, ELEMENT_SLOTS) < 0)
        return NULL;
    if (!PyType_IsSubtype((PyTypeObject *)path_kind, &PyTuple_Type)) {
        PyErr_SetString(PyExc_TypeError, "expected a class of tuples");
        return NULL;
    }
    if (view_of(source, &view, 0, &end) < 0)
        return NULL;
    runs = PyList_New(0);
    pairs = PyList_New(0);
    failed = runs == NULL || pairs == NULL;
    while (!failed && PyDict_Next(index, &at, &tag, &offset)) {
        PyObject *vr = PyLong_CheckExact(offset)
                           ? vr_in(state, view.buf, PyLong_AsSsize_t(offset), end)
                           : NULL;
        PyObject *element = NULL;

        /* Whatever the collector runs meanwhile may take them out of the index. */
        Py_INCREF(tag);
        Py_INCREF(offset);
        if (vr == NULL) {
            failed = PyErr_Occurred() || append_run(runs, &pairs, tag, offset, Py_None) < 0;
        } else {
            values[TAG] = tag;
            values[ELEMENT_VR] = vr;
            values[OFFSET] = offset;
            values[VALUE] = PyDict_GetItemWithError(known, tag);
            if (values[VALUE] == NULL)
                values[VALUE] = unread;
            Py_INCREF(values[VALUE]);
            element = PyErr_Occurred() ? NULL : untracked(object_of(&shape, values, ELEMENT_SLOTS));
            Py_DECREF(values[VALUE]);
            if (element == NULL)
                failed = 1;
            else if (vr == state->vrs['S' - 'A']['Q' - 'A'])
                failed = append_run(runs, &pairs, tag, offset, element) < 0;
            else
                failed = append_pair(pairs, (PyTypeObject *)path_kind, prefix, tag, element) < 0;
        }
        Py_XDECREF(element);
        Py_DECREF(tag);
        Py_DECREF(offset);
    }
    failed = failed || append_run(runs, &pairs, Py_None, Py_None, Py_None) < 0;
    Py_XDECREF(pairs);
    PyBuffer_Release(&view);
    if (failed)
        Py_CLEAR(runs);
    return runs;
}

/* --- values ------------------------------------------------------------------------------- */

/* The slots of a list of values, of which a change is noted. */
enum list_slot { LIST_SCOPE, LIST_NUMBER, LIST_SLOTS };

/* What values are made as: subclasses of str, float and int, in this order. */
enum kind { KIND_AS, KIND_DA, KIND_DT, KIND_TM, KIND_UI, KIND_PN, KIND_DS, KIND_IS, KINDS };

#define MOST_NUMBERS 64 /* of one element; more are left */
#define MOST_NUMBER_STRINGS 16
#define MOST_TEXT 1024
#define MOST_BYTES 0x10000
#define LONGEST_NUMBER 32

struct makers {
    PyObject *kinds[KINDS];
    struct shape lists;
    PyObject *place[LIST_SLOTS]; /* where the lists are noted as changed */
    PyObject *text;              /* the attribute of numbers that has their text */
    int has_ascii;  /* whether text of ASCII means itself in the character set */
};

/* The value of an element that is left is NULL without an exception. */
static PyObject *is_left(void) { return NULL; }

static PyObject *made_as(PyTypeObject *base, PyObject *kind, PyObject *value)
{
    newfunc make = (newfunc)PyType_GetSlot(base, Py_tp_new);
    PyObject *arguments = value == NULL ? NULL : PyTuple_Pack(1, value), *made = NULL;

    if (arguments != NULL)
        made = make((PyTypeObject *)kind, arguments, NULL);
    Py_XDECREF(arguments);
    return untracked(made); /* of what a large data set keeps, they are a quarter */
}

static inline int is_padding(uint8_t one) { return one == ' ' || one == 0; }

static PyObject *text_of(const uint8_t *start, const uint8_t *end, int keeps_leading,
                         PyObject *kind)
{
    PyObject *text, *made;

    while (end > start && is_padding(end[-1]))
        end--;
    while (!keeps_leading && start < end && is_padding(*start))
        start++;
    text = PyUnicode_DecodeASCII((const char *)start, end - start, "strict");
    if (text == NULL || kind == NULL)
        return text;
    made = made_as(&PyUnicode_Type, kind, text);
    Py_DECREF(text);
    return made;
}

/* One text, or a list of those between backslashes. */
static PyObject *texts_of(const struct makers *makers, const uint8_t *start, Py_ssize_t length,
                          PyObject *kind)
{
    const uint8_t *end = start + length, *stop;
    PyObject *list;

    if (memchr(start, '\\', (size_t)length) == NULL)
        return text_of(start, end, 0, kind);
    list = untracked(object_of(&makers->lists, makers->place, LIST_SLOTS));
    while (list != NULL) {
        PyObject *one;

        stop = memchr(start, '\\', (size_t)(end - start));
        one = text_of(start, stop == NULL ? end : stop, 0, kind);
        if (one == NULL || PyList_Append(list, one) < 0) {
            Py_XDECREF(one);
            Py_DECREF(list);
            return NULL;
        }
        Py_DECREF(one);
        if (stop == NULL)
            break;
        start = stop + 1;
    }
    return list;
}

static int is_ascii(const uint8_t *at, Py_ssize_t length)
{
    uint8_t all = 0;

    while (length-- > 0)
        all |= *at++;
    return all < 0x80;
}

/* Whether a text is a decimal number as it is most often written, and sure to be finite. */
static int is_decimal(const uint8_t *at, const uint8_t *end)
{
    int digits = 0, of_exponent = 0;

    if (end - at > LONGEST_NUMBER)
        return 0;
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    for (; at < end && *at >= '0' && *at <= '9'; at++)
        digits++;
    if (at < end && *at == '.')
        for (at++; at < end && *at >= '0' && *at <= '9'; at++)
            digits++;
    if (digits && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '-' || *at == '+'))
            at++;
        for (; at < end && *at >= '0' && *at <= '9'; at++)
            of_exponent++;
        if (of_exponent < 1 || of_exponent > 2)
            return 0;
    }
    return digits && at == end;
}

static PyObject *with_text(const struct makers *makers, PyObject *number, PyObject *text)
{
    if (number != NULL && PyObject_SetAttr(number, makers->text, text) < 0) {
        Py_DECREF(number);
        number = NULL;
    }
    return number;
}

static PyObject *decimal_of(const struct makers *makers, const uint8_t *start, const uint8_t *end)
{
    PyObject *text, *number;

    if (!is_decimal(start, end))
        return is_left();
    text = PyUnicode_DecodeASCII((const char *)start, end - start, "strict");
    if (text == NULL)
        return NULL;
    number = with_text(makers, made_as(&PyFloat_Type, makers->kinds[KIND_DS], text), text);
    Py_DECREF(text);
    return number;
}

/* A whole number; the text of one that is written as Python writes it need not be kept. */
static PyObject *integer_of(const struct makers *makers, const uint8_t *start, const uint8_t *end)
{
    const uint8_t *at = start;
    int is_negative = start < end && *start == '-', is_plain;
    long long value = 0;
    PyObject *plain, *number, *text;

    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (at == end || end - at > 12)
        return is_left();
    is_plain = *start != '+' && (*at != '0' || (end - at == 1 && !is_negative));
    for (; at < end; at++) {
        if (*at < '0' || *at > '9')
            return is_left();
        value = 10 * value + (*at - '0');
    }
    plain = PyLong_FromLongLong(is_negative ? -value : value);
    number = made_as(&PyLong_Type, makers->kinds[KIND_IS], plain);
    Py_XDECREF(plain);
    if (number == NULL || is_plain)
        return number;
    text = PyUnicode_DecodeASCII((const char *)start, end - start, "strict");
    if (text == NULL) {
        Py_DECREF(number);
        return NULL;
    }
    number = with_text(makers, number, text);
    Py_DECREF(text);
    return number;
}

typedef PyObject *number_maker(const struct makers *, const uint8_t *, const uint8_t *);

static PyObject *number_strings_of(const struct makers *makers, const uint8_t *start,
                                   Py_ssize_t length, number_maker *make)
{
    const uint8_t *end = start + length, *stop;
    PyObject *list;
    int count = 1;

    while (end > start && is_padding(end[-1]))
        end--;
    for (stop = start; (stop = memchr(stop, '\\', (size_t)(end - stop))) != NULL; stop++)
        if (++count > MOST_NUMBER_STRINGS)
            return is_left();
    if (count == 1) {
        while (start < end && is_padding(*start))
            start++;
        return make(makers, start, end);
    }
    list = untracked(object_of(&makers->lists, makers->place, LIST_SLOTS));
    while (list != NULL) {
        PyObject *one;

        stop = memchr(start, '\\', (size_t)(end - start));
        one = make(makers, start, stop == NULL ? end : stop);
        if (one == NULL || PyList_Append(list, one) < 0) {
            Py_XDECREF(one);
            Py_DECREF(list);
            return NULL;
        }
        Py_DECREF(one);
        if (stop == NULL)
            break;
        start = stop + 1;
    }
    return list;
}

static PyObject *real_of(double value)
{
    return value == value ? PyFloat_FromDouble(value) : is_left();
}

static PyObject *number_of(const uint8_t *at, uint32_t vr)
{
    uint64_t bits;
    uint32_t half;
    float single;
    double real;

    switch (vr) {
    case 'U' << 8 | 'S':
        return PyLong_FromLong((long)u16(at));
    case 'S' << 8 | 'S':
        return PyLong_FromLong((long)(int16_t)u16(at));
    case 'U' << 8 | 'L':
        return PyLong_FromUnsignedLong(u32(at));
    case 'S' << 8 | 'L':
        return PyLong_FromLong((long)(int32_t)u32(at));
    case 'F' << 8 | 'L':
        half = u32(at);
        memcpy(&single, &half, sizeof single);
        return real_of((double)single);
    default:
        bits = (uint64_t)u32(at) | (uint64_t)u32(at + 4) << 32;
        memcpy(&real, &bits, sizeof real);
        return real_of(real);
    }
}

static PyObject *numbers_of(const struct makers *makers, const uint8_t *at, Py_ssize_t length,
                            uint32_t vr, Py_ssize_t size)
{
    Py_ssize_t count = length / size;
    PyObject *list;

    if (length == size)
        return number_of(at, vr);
    /* In some tables of SS, not all of the numbers have a sign. */
    if (length % size || count > MOST_NUMBERS || vr == ('S' << 8 | 'S'))
        return is_left();
    list = untracked(object_of(&makers->lists, makers->place, LIST_SLOTS));
    for (; list != NULL && count > 0; count--, at += size) {
        PyObject *one = number_of(at, vr);

        if (one == NULL || PyList_Append(list, one) < 0) {
            Py_DECREF(list);
            list = NULL;
        }
        Py_XDECREF(one);
    }
    return list;
}

static PyObject *short_value(const struct makers *makers, uint32_t vr, const uint8_t *at,
                             Py_ssize_t length)
{
    PyObject *kind = NULL;

    switch (vr) {
    case 'U' << 8 | 'S': case 'S' << 8 | 'S':
        return numbers_of(makers, at, length, vr, 2);
    case 'U' << 8 | 'L': case 'S' << 8 | 'L': case 'F' << 8 | 'L':
        return numbers_of(makers, at, length, vr, 4);
    case 'F' << 8 | 'D':
        return numbers_of(makers, at, length, vr, 8);
    case 'D' << 8 | 'S':
        return number_strings_of(makers, at, length, decimal_of);
    case 'I' << 8 | 'S':
        return number_strings_of(makers, at, length, integer_of);
    case 'L' << 8 | 'O': case 'S' << 8 | 'H': case 'L' << 8 | 'T': case 'S' << 8 | 'T':
    case 'P' << 8 | 'N':
        if (!makers->has_ascii)
            return is_left();
        break;
    case 'A' << 8 | 'E': case 'C' << 8 | 'S': case 'A' << 8 | 'S': case 'D' << 8 | 'A':
    case 'D' << 8 | 'T': case 'T' << 8 | 'M': case 'U' << 8 | 'I':
        break;
    default:
        return is_left();
    }
    if (length > MOST_TEXT || !is_ascii(at, length))
        return is_left();
    switch (vr) {
    case 'L' << 8 | 'T': case 'S' << 8 | 'T':
        return text_of(at, at + length, 1, NULL);
    case 'P' << 8 | 'N': kind = makers->kinds[KIND_PN]; break;
    case 'A' << 8 | 'S': kind = makers->kinds[KIND_AS]; break;
    case 'D' << 8 | 'A': kind = makers->kinds[KIND_DA]; break;
    case 'D' << 8 | 'T': kind = makers->kinds[KIND_DT]; break;
    case 'T' << 8 | 'M': kind = makers->kinds[KIND_TM]; break;
    case 'U' << 8 | 'I': kind = makers->kinds[KIND_UI]; break;
    }
    return texts_of(makers, at, length, kind);
}

/* The value of the element at `pos`, or NULL: left, or with an exception. */
static PyObject *value_at(const struct makers *makers, const uint8_t *data, Py_ssize_t pos,
                          Py_ssize_t end)
{
    uint32_t vr;
    Py_ssize_t next;

    if (pos < 0 || end - pos < 8)
        return is_left();
    next = next_of(data, pos, end, 1);
    if (next < 0 || next > end)
        return is_left();
    vr = (uint32_t)data[pos + 4] << 8 | data[pos + 5];
    if (form_of(data[pos + 4], data[pos + 5]) == SHORT) {
        if (next == pos + 8)
            Py_RETURN_NONE;
        return short_value(makers, vr, data + pos + 8, next - pos - 8);
    }
    if (data[pos + 4] != 'O' || next - pos - 12 > MOST_BYTES)
        return is_left();
    if (next == pos + 12)
        Py_RETURN_NONE;
    return PyBytes_FromStringAndSize((const char *)data + pos + 12, next - pos - 12);
}

static int take_makers(struct state *state, struct makers *makers, PyObject *kinds)
{
    int at;

    if (PyTuple_Size(kinds) != KINDS + 1) {
        PyErr_SetString(PyExc_ValueError, "expected 8 classes, and what lists are made of");
        return -1;
    }
    for (at = 0; at < KINDS; at++) {
        PyTypeObject *base = at == KIND_DS   ? &PyFloat_Type
                             : at == KIND_IS ? &PyLong_Type
                                             : &PyUnicode_Type;

        makers->kinds[at] = PyTuple_GetItem(kinds, at);
        if (!PyType_Check(makers->kinds[at]) ||
            !PyType_IsSubtype((PyTypeObject *)makers->kinds[at], base)) {
            PyErr_SetString(PyExc_TypeError, "expected classes of text, float and int");
            return -1;
        }
    }
    if (take_shape(&makers->lists, PyTuple_GetItem(kinds, KINDS), LIST_SLOTS) < 0)
        return -1;
    if (!PyType_IsSubtype(makers->lists.type, &PyList_Type)) {
        PyErr_SetString(PyExc_TypeError, "expected a class of lists");
        return -1;
    }
    if (state->text == NULL)
        state->text = PyUnicode_InternFromString("_text");
    makers->text = state->text;
    return makers->text == NULL ? -1 : 0;
}

/* Notes a sequence of a defined length that is all there; anything else is left. */
static int append_sequence(PyObject *sequences, PyObject *tag, const uint8_t *data, Py_ssize_t pos,
                           Py_ssize_t end)
{
    Py_ssize_t next;
    PyObject *row;
    int failed;

    if (pos < 0 || end - pos < 12 || data[pos + 4] != 'S' || data[pos + 5] != 'Q')
        return 0;
    next = next_of(data, pos, end, 1);
    if (next < 0 || next > end)
        return 0;
    row = Py_BuildValue("Onn", tag, pos + 12, next);
    failed = row == NULL || PyList_Append(sequences, row) < 0;
    Py_XDECREF(row);
    return failed ? -1 : 0;
}

/* Makes values of the elements that have none; `sequences` gets what is a sequence. */
static int fill_values(const struct makers *makers, const Py_buffer *view, PyObject *index,
                       PyObject *values, PyObject *sequences)
{
    PyObject *tag, *offset;
    Py_ssize_t at = 0;
    int failed = 0;

    while (!failed && PyDict_Next(index, &at, &tag, &offset)) {
        PyObject *value;
        int is_known;

        if (!PyLong_CheckExact(offset) || !PyLong_CheckExact(tag))
            continue;
        Py_INCREF(tag);
        is_known = PyDict_GetItemWithError(values, tag) != NULL;
        if (!is_known && !PyErr_Occurred()) {
            Py_ssize_t pos = PyLong_AsSsize_t(offset);

            value = value_at(makers, view->buf, pos, view->len);
            if (value != NULL)
                failed = PyDict_SetItem(values, tag, value) < 0;
            else if (!PyErr_Occurred())
                failed = append_sequence(sequences, tag, view->buf, pos, view->len) < 0;
            Py_XDECREF(value);
        }
        failed = failed || PyErr_Occurred() != NULL;
        Py_DECREF(tag);
    }
    return failed ? -1 : 0;
}

static PyObject *values_usual(PyObject *self, PyObject *arguments)
{
    PyObject *source, *index, *values, *kinds, *sequences;
    Py_ssize_t end = PY_SSIZE_T_MAX;
    struct makers makers;
    Py_buffer view;

    if (!PyArg_ParseTuple(arguments, "OO!O!O!pOO", &source, &PyDict_Type, &index, &PyDict_Type,
                          &values, &PyTuple_Type, &kinds, &makers.has_ascii,
                          &makers.place[LIST_SCOPE], &makers.place[LIST_NUMBER]) ||
        take_makers(PyModule_GetState(self), &makers, kinds) < 0 ||
        view_of(source, &view, 0, &end) < 0)
        return NULL;
    sequences = PyList_New(0);
    if (sequences != NULL && fill_values(&makers, &view, index, values, sequences) < 0)
        Py_CLEAR(sequences);
    PyBuffer_Release(&view);
    return sequences;
}

/* --- data sets in sequences --------------------------------------------------------------- */

/* The slots of what holds the elements of an item. */
enum item_slot {
    SCOPE, NUMBER, START, END, INDEX, ITEM_VALUES, IS_SORTED, CHARACTERS, REPLACED, FILE_META,
    ITEM_SLOTS,
};
#define CHARACTER_SET 0x00080005u
#define PIXEL_REPRESENTATION 0x00280103u

/* The slots of where items stand. */
enum place_slot {
    BUFFER, LAYOUT, READING, PARENT, ABOVE, CHANGED, PARENT_NUMBER, SEQUENCE, DEPTH, INHERITED,
    DECODERS, IS_SIGNED, PLACE_SLOTS,
};

/* What the data sets in sequences are made as, and of what. */
struct data_sets {
    struct state *state;
    struct shape places, lists, items, contents;
    int are_plain; /* users cannot give an item attributes of their own */
    Py_buffer view;
    Py_ssize_t most, seen; /* items and elements */
    struct makers makers;  /* of their values, if these are made, too */
    int has_values;
    long deepest;
};

static int put_sequence(struct data_sets *made, PyObject *values, PyObject **place, PyObject *tag,
                        Py_ssize_t at, Py_ssize_t end, long depth);

/* Attributes of its own may lead from an item to what it is in. */
static PyObject *untracked_if_plain(const struct data_sets *made, PyObject *one)
{
    return made->are_plain ? untracked(one) : one;
}

/* Makes the values in an item, and the data sets of its sequences. */
static int fill_item(struct data_sets *made, PyObject **place, PyObject *scope, PyObject **item,
                     long depth)
{
    PyObject *inner[PLACE_SLOTS], *sequences = PyList_New(0), *key;
    int failed = sequences == NULL, is_apart = 1;
    Py_ssize_t at;

    made->makers.place[LIST_SCOPE] = scope;
    made->makers.place[LIST_NUMBER] = item[NUMBER];
    failed = failed || fill_values(&made->makers, &made->view, item[INDEX], item[ITEM_VALUES],
                                   sequences) < 0;
    if (!failed && PyList_Size(sequences) > 0) {
        key = key_of(made->state, PIXEL_REPRESENTATION); /* which they inherit */
        is_apart = key == NULL ? -1 : PyDict_Contains(item[INDEX], key);
        failed = is_apart < 0;
        Py_XDECREF(key);
    }
    if (!is_apart && depth < made->deepest) {
        memcpy(inner, place, sizeof inner);
        inner[PARENT] = inner[ABOVE] = scope;
        inner[PARENT_NUMBER] = item[NUMBER];
        inner[DEPTH] = PyLong_FromLong(depth + 1);
        failed = inner[DEPTH] == NULL;
        for (at = 0; !failed && at < PyList_Size(sequences); at++) {
            PyObject *row = PyList_GetItem(sequences, at);

            failed = put_sequence(made, item[ITEM_VALUES], inner, PyTuple_GetItem(row, 0),
                                  PyLong_AsSsize_t(PyTuple_GetItem(row, 1)),
                                  PyLong_AsSsize_t(PyTuple_GetItem(row, 2)), depth + 1) < 0;
        }
        Py_XDECREF(inner[DEPTH]);
    }
    Py_XDECREF(sequences);
    return failed ? -1 : 0;
}

static int append_item(struct data_sets *made, PyObject *items, PyObject **place,
                       PyObject **values, Py_ssize_t start, Py_ssize_t end, long depth)
{
    PyObject *content = NULL, *item = NULL;
    int failed;

    values[NUMBER] = PyLong_FromSsize_t(PyList_Size(items));
    values[START] = position_of(made->state, start);
    values[END] = position_of(made->state, end);
    values[ITEM_VALUES] = PyDict_New();
    failed = values[NUMBER] == NULL || values[START] == NULL || values[END] == NULL ||
             values[ITEM_VALUES] == NULL;
    if (!failed && made->has_values && values[CHARACTERS] != Py_None)
        failed = fill_item(made, place, values[SCOPE], values, depth) < 0;
    untracked_if_plain(made, values[ITEM_VALUES]);
    if (!failed)
        content = untracked_if_plain(made, object_of(&made->contents, values, ITEM_SLOTS));
    if (content != NULL)
        item = untracked_if_plain(made, object_of(&made->items, &content, 1));
    failed = item == NULL || PyList_Append(items, item) < 0;
    Py_XDECREF(item);
    Py_XDECREF(content);
    Py_XDECREF(values[NUMBER]);
    Py_XDECREF(values[START]);
    Py_XDECREF(values[END]);
    Py_XDECREF(values[ITEM_VALUES]);
    return failed ? -1 : 0;
}

/* The items from `at` on, as far as they are usual; `at` is taken further. */
static int append_items(struct data_sets *made, PyObject *items, PyObject **place, PyObject *scope,
                        Py_ssize_t *at, Py_ssize_t end, long depth)
{
    PyObject *values[ITEM_SLOTS], *index, *key = key_of(made->state, CHARACTER_SET);
    Py_ssize_t item_end, count;
    int failed = key == NULL;

    values[SCOPE] = scope;
    values[IS_SORTED] = Py_True;
    values[REPLACED] = values[FILE_META] = Py_None;
    while (!failed && (index = index_of_item(made->state, made->view.buf, *at, end,
                                             made->most - made->seen, &item_end, &count)) != NULL) {
        int has_own = PyDict_Contains(index, key);

        made->seen += count;
        values[INDEX] = index;
        values[CHARACTERS] = has_own ? Py_None : place[INHERITED];
        failed = has_own < 0 ||
                 append_item(made, items, place, values, *at + 8, item_end, depth) < 0;
        Py_DECREF(index);
        *at = item_end;
    }
    Py_XDECREF(key);
    return PyErr_Occurred() ? -1 : 0;
}

/* The data sets of one sequence; left out of `values` unless all of them are usual. */
static int put_sequence(struct data_sets *made, PyObject *values, PyObject **place, PyObject *tag,
                        Py_ssize_t at, Py_ssize_t end, long depth)
{
    PyObject *list_values[LIST_SLOTS], *items = NULL;
    Py_ssize_t before = made->seen;
    int failed;

    place[SEQUENCE] = tag;
    list_values[LIST_SCOPE] = untracked(object_of(&made->places, place, PLACE_SLOTS));
    list_values[LIST_NUMBER] = PyLong_FromLong(-1); /* which stands for the list itself */
    if (list_values[LIST_SCOPE] != NULL && list_values[LIST_NUMBER] != NULL)
        items = untracked_if_plain(made, object_of(&made->lists, list_values, LIST_SLOTS));
    failed = items == NULL ||
             append_items(made, items, place, list_values[LIST_SCOPE], &at, end, depth) < 0;
    if (!failed && at == end)
        failed = PyDict_SetItem(values, tag, items) < 0;
    else
        made->seen = before;
    Py_XDECREF(items);
    Py_XDECREF(list_values[LIST_SCOPE]);
    Py_XDECREF(list_values[LIST_NUMBER]);
    return failed ? -1 : 0;
}

static int take_data_sets(struct data_sets *made, PyObject *const *shapes, PyObject *kinds)
{
    PyObject *offset;

    if (take_shape(&made->places, shapes[0], PLACE_SLOTS) < 0 ||
        take_shape(&made->lists, shapes[1], LIST_SLOTS) < 0 ||
        take_shape(&made->items, shapes[2], 1) < 0 ||
        take_shape(&made->contents, shapes[3], ITEM_SLOTS) < 0)
        return -1;
    if (!PyType_IsSubtype(made->lists.type, &PyList_Type)) {
        PyErr_SetString(PyExc_TypeError, "expected a class of lists");
        return -1;
    }
    made->has_values = kinds != Py_None;
    if (made->has_values && !PyTuple_Check(kinds)) {
        PyErr_SetString(PyExc_TypeError, "expected what values are made as");
        return -1;
    }
    if (made->has_values && take_makers(made->state, &made->makers, kinds) < 0)
        return -1;
    offset = PyObject_GetAttrString((PyObject *)made->items.type, "__dictoffset__");
    if (offset == NULL)
        return -1;
    made->are_plain = PyLong_AsLong(offset) == 0;
    Py_DECREF(offset);
    return PyErr_Occurred() ? -1 : 0;
}

static PyObject *data_sets_usual(PyObject *self, PyObject *arguments)
{
    PyObject *source, *sequences, *values, *parts, *shapes[4], *kinds, *place[PLACE_SLOTS];
    Py_ssize_t end = PY_SSIZE_T_MAX, start, at;
    struct data_sets made;
    long depth;
    int failed = 0;

    made.state = PyModule_GetState(self);
    made.seen = 0;
    if (!PyArg_ParseTuple(arguments, "OO!O!nlO!(OOOO)Op", &source, &PyList_Type, &sequences,
                          &PyDict_Type, &values, &made.most, &made.deepest, &PyTuple_Type, &parts,
                          &shapes[0], &shapes[1], &shapes[2], &shapes[3], &kinds,
                          &made.makers.has_ascii) ||
        take_data_sets(&made, shapes, kinds) < 0)
        return NULL;
    if (PyTuple_Size(parts) != PLACE_SLOTS) {
        PyErr_SetString(PyExc_TypeError, "expected 12 values of a place");
        return NULL;
    }
    for (at = 0; at < PLACE_SLOTS; at++)
        place[at] = PyTuple_GetItem(parts, at);
    depth = PyLong_AsLong(place[DEPTH]);
    if (PyErr_Occurred() || view_of(source, &made.view, 0, &end) < 0)
        return NULL;
    if (made.deepest > depth + DEEPEST)
        made.deepest = depth + DEEPEST;
    for (at = 0; !failed && at < PyList_Size(sequences); at++) {
        PyObject *row = PyList_GetItem(sequences, at), *tag;

        if (!PyTuple_Check(row) || !PyArg_ParseTuple(row, "Onn", &tag, &start, &end)) {
            PyErr_SetString(PyExc_TypeError, "expected a tag, where it starts and where it ends");
            failed = 1;
        } else if (start < 0 || end > made.view.len) {
            PyErr_SetString(PyExc_ValueError, "expected a sequence within the buffer");
            failed = 1;
        } else {
            failed = put_sequence(&made, values, place, tag, start, end, depth) < 0;
        }
    }
    PyBuffer_Release(&made.view);
    return failed ? NULL : PyLong_FromSsize_t(made.seen);
}

static PyMethodDef methods[] = {
    {"index_usual", index_usual, METH_VARARGS,
     "index_usual(buffer, index, pos, end, last, stop, is_explicit) -> (pos, last)\n\n"
     "Index elements in ascending order of tags, little endian, from pos on: those above last\n"
     "and below stop."},
    {"pick_usual", pick_usual, METH_VARARGS,
     "pick_usual(buffer, index, pos, end, following, last, seen, least, wanted)\n"
     "-> (pos, following, last, seen)\n\n"
     "Pass over elements in Explicit VR Little Endian whose tags are not below least, and index\n"
     "those that are wanted (numbers of 32 bits, little endian, ascending)."},
    {"meta_usual", meta_usual, METH_VARARGS,
     "meta_usual(buffer) -> (end, transfer syntax behind its length), or None\n\n"
     "Pass over the file meta information of a file that begins with a preamble; None: something\n"
     "in it is not usual."},
    {"uids_usual", uids_usual, METH_VARARGS,
     "uids_usual(buffer, end, is_explicit, wanted) -> tuple of texts, or None\n\n"
     "Pass over a whole data set, little endian, and give the UIDs of the wanted tags (numbers of\n"
     "32 bits, little endian); empty: it has none, None: something in it is not usual."},
    {"offsets_usual", offsets_usual, METH_VARARGS,
     "offsets_usual(buffer, end, is_explicit) -> (tags, offsets), or None\n\n"
     "Pass over a whole data set, little endian: the tag of each element, of 32 bits, and where it\n"
     "starts and the last one ends, of 64, in the byte order of the machine. None: something in it\n"
     "is not usual."},
    {"items_usual", items_usual, METH_VARARGS,
     "items_usual(buffer, rows, start, end, most) -> (pos, count)\n\n"
     "Index items of defined lengths in Explicit VR Little Endian: rows gets where the elements of\n"
     "each start and end, and their index. No more than so many items and elements are counted."},
    {"data_sets_usual", data_sets_usual, METH_VARARGS,
     "data_sets_usual(buffer, sequences, values, most, deepest, place,\n"
     "(places, lists, items, contents), kinds, has_ascii) -> count\n\n"
     "Make lists of data sets of sequences (tag, start, end) in which nothing is unusual, and put\n"
     "them into values. No more than so many items and elements are counted. place: what the slots\n"
     "of where they stand get; the others are classes and their slots. With kinds, values are made\n"
     "as values_usual makes them, and data sets of the sequences among these, as deep as asked."},
    {"runs_usual", runs_usual, METH_VARARGS,
     "runs_usual(buffer, index, values, holder, prefix, paths, elements, unread)\n"
     "-> [([(path, element), ...], tag, what the index has, element or None), ...]\n\n"
     "Make the elements in Explicit VR Little Endian that stand where the index says, up to the\n"
     "next that is a sequence, and that, or the next whose VR is not written, or UN. elements: a\n"
     "class and its slots; unread: in place of a value that is not there. Behind the last one there\n"
     "is no further tag."},
    {"values_usual", values_usual, METH_VARARGS,
     "values_usual(buffer, index, values, kinds, has_ascii, scope, number)\n"
     "-> [(tag, start, end), ...]\n\n"
     "Make values of the elements in Explicit VR Little Endian that stand where the index says,\n"
     "of those that have none, and give the sequences among them that are not usual values. kinds:\n"
     "what AS, DA, DT, TM, UI, PN, DS and IS are made as, and the class and slots of lists;\n"
     "has_ascii: whether ASCII means itself in the character set; scope, number: what lists get."},
    {NULL, NULL, 0, NULL},
};

static int fill(PyObject *module)
{
    return PyModule_AddIntConstant(module, "REVISION", REVISION);
}

static int clear(PyObject *module)
{
    struct state *state = PyModule_GetState(module);
    int at;

    for (at = 0; state != NULL && at < KNOWN_TAGS; at++)
        Py_CLEAR(state->keys[at]);
    for (at = 0; state != NULL && at < KNOWN_POSITIONS; at++)
        Py_CLEAR(state->positions[at]);
    for (at = 0; state != NULL && at < 26 * 26; at++)
        Py_CLEAR(state->vrs[at / 26][at % 26]);
    if (state != NULL)
        Py_CLEAR(state->text);
    return 0;
}

static void release(void *module) { clear(module); }

static PyModuleDef_Slot slots[] = {{Py_mod_exec, fill}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_native", "Headers of usual data elements.", sizeof(struct state),
    methods, slots, NULL, clear, release,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
