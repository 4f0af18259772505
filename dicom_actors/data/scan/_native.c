/* The headers of usual data elements, passed over and indexed.

   Three functions that keep nothing. Each goes on from a position as long as what stands there is
   usual, and returns where it stopped: at the end, or at the first element that is not. What that
   one means, and every warning and error, is the business of the Python code around it, which is
   the judge of this one: with or without it, the same comes out.

   Nothing is read beyond the end that is given, nor beyond that of the buffer. The limited API of
   CPython 3.11, so that one build serves every later version; and no format with a length ("y#"):
   compiled with the headers of 3.13, 3.12 and 3.11 refuse those.

   PS3.5 7.1.2 (explicit VR), 7.1.3 (implicit VR), 7.3 (little endian). */

#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>

#define REVISION 2 /* of what the functions take and return; `native.py` asks for it */

#define UNDEFINED 0xFFFFFFFFu
#define ITEM 0xFFFEE000u

/* The form of the length that goes with a VR. */
enum form { UNUSUAL, SHORT, LONG };

static inline uint32_t u16(const uint8_t *at) { return (uint32_t)at[0] | (uint32_t)at[1] << 8; }

static inline uint32_t u32(const uint8_t *at) { return u16(at) | u16(at + 2) << 16; }

static enum form form_of(uint8_t first, uint8_t second)
{
    switch ((uint32_t)first << 8 | second) {
    case 'A' << 8 | 'E': case 'A' << 8 | 'S': case 'A' << 8 | 'T': case 'C' << 8 | 'S':
    case 'D' << 8 | 'A': case 'D' << 8 | 'S': case 'D' << 8 | 'T': case 'F' << 8 | 'D':
    case 'F' << 8 | 'L': case 'I' << 8 | 'S': case 'L' << 8 | 'O': case 'L' << 8 | 'T':
    case 'P' << 8 | 'N': case 'S' << 8 | 'H': case 'S' << 8 | 'L': case 'S' << 8 | 'S':
    case 'S' << 8 | 'T': case 'T' << 8 | 'M': case 'U' << 8 | 'I': case 'U' << 8 | 'L':
    case 'U' << 8 | 'S':
        return SHORT;
    case 'O' << 8 | 'B': case 'O' << 8 | 'D': case 'O' << 8 | 'F': case 'O' << 8 | 'L':
    case 'O' << 8 | 'V': case 'O' << 8 | 'W': case 'S' << 8 | 'Q': case 'S' << 8 | 'V':
    case 'U' << 8 | 'C': case 'U' << 8 | 'N': case 'U' << 8 | 'R': case 'U' << 8 | 'T':
    case 'U' << 8 | 'V':
        return LONG;
    default:
        return UNUSUAL;
    }
}

/* Reads the usual header at `pos`, of which at least 8 bytes are there.
   Returns where the next element starts, which may be beyond `end`; -1 if it is not usual. */
static Py_ssize_t next_of(const uint8_t *data, Py_ssize_t pos, Py_ssize_t end, int is_explicit)
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

static int note(PyObject *index, uint32_t tag, Py_ssize_t pos)
{
    PyObject *key = PyLong_FromUnsignedLong(tag);
    PyObject *value = key == NULL ? NULL : PyLong_FromSsize_t(pos);
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
    PyObject *source, *index;
    Py_ssize_t pos, end;
    unsigned long stop;
    long long last;
    int is_explicit;
    Py_buffer view;
    int failed = 0;

    (void)self;
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
        failed = note(index, tag, pos);
        last = tag;
        pos = next;
    }
    PyBuffer_Release(&view);
    return failed ? NULL : Py_BuildValue("nL", pos, last);
}

static PyObject *pick_usual(PyObject *self, PyObject *arguments)
{
    PyObject *source, *index, *wanted_tags;
    Py_ssize_t pos, end, following, count, at = 0;
    unsigned long least;
    long long last, seen;
    Py_buffer view;
    int failed = 0;

    (void)self;
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
            failed = note(index, tag, pos);
            last = tag;
            following = next;
        }
        seen = tag;
        pos = next;
    }
    PyBuffer_Release(&view);
    return failed ? NULL : Py_BuildValue("nnLL", pos, following, last, seen);
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
    {"uids_usual", uids_usual, METH_VARARGS,
     "uids_usual(buffer, end, is_explicit, wanted) -> tuple of texts, or None\n\n"
     "Pass over a whole data set, little endian, and give the UIDs of the wanted tags (numbers of\n"
     "32 bits, little endian); empty: it has none, None: something in it is not usual."},
    {NULL, NULL, 0, NULL},
};

static int fill(PyObject *module)
{
    return PyModule_AddIntConstant(module, "REVISION", REVISION);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, fill}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_native", "Headers of usual data elements.", 0, methods, slots,
    NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
